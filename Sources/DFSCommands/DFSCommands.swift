// Sources of DFSCommands.
