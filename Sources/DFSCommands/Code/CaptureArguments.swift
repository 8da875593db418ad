import ArgumentParser
import DFSModel

/// What `dfs code snapshot` and `dfs code watch` take.
struct CaptureArguments: ParsableArguments {
    @Argument(help: "A directory of the project (default: this one).") var path: String?
    @Option(
        help: ArgumentHelp(
            "Record what looks like a secret, and why that is no harm; the reason stays.", valueName: "reason"))
    var allowSecrets: String?
}
