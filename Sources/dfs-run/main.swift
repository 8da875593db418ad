import DFSCommands
import Glibc

// `dfs-run …` is `dfs run …`. It also starts itself again for hidden commands, whose first argument is `__…`.
let words = ArgumentText.ofProcess().dropFirst()
exit(DFSCommands.run(arguments: ["dfs"] + (words.first?.hasPrefix("__") == true ? [] : ["run"]) + words))
