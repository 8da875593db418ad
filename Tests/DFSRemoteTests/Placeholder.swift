// The tests of DFSRemote.
