// Sources of DFSVirtual.
