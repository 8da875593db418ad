// Sources of DFSLedger.
