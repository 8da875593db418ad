// The tests of DFSHistory.
