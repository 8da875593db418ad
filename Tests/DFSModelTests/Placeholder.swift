// The tests of DFSModel.
