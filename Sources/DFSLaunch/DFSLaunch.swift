// Sources of DFSLaunch.
