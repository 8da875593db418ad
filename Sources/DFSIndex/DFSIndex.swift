// Sources of DFSIndex.
