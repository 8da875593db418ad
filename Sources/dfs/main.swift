import DFSCommands
import Glibc

exit(DFSCommands.run(arguments: ArgumentText.ofProcess()))
