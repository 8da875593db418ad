// The tests of DFSCommands.
