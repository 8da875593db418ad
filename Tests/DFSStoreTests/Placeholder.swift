// The tests of DFSStore.
