// The tests of DFSLaunch.
