// Sources of DFSHistory.
