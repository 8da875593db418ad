// The tests of DFSIndex.
