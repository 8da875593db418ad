// The tests of DFSSystem.
