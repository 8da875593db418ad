// Sources of DFSChunking.
