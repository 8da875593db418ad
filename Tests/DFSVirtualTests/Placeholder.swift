// The tests of DFSVirtual.
