// The tests of DFSRuns.
