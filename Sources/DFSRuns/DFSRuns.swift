// Sources of DFSRuns.
