// The tests of DFSFuse.
