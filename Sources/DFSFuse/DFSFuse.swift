// Sources of DFSFuse.
