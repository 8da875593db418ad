// The tests of DFSChunking.
