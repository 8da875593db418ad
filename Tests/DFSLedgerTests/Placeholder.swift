// The tests of DFSLedger.
