import DFSCommands
import DFSLaunch

if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "__enter" {
    Enter.run(planFile: CommandLine.arguments[2])
}
