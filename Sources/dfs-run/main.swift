import DFSCommands
import Glibc

// `dfs-run …` is `dfs run …`.
exit(DFSCommands.run(arguments: ["dfs", "run"] + ArgumentText.ofProcess().dropFirst()))
