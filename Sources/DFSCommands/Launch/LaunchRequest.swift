import DFSLaunch
import DFSModel

/// What a run is to be: said by `dfs-run`'s options, by the record of a run that is repeated, or by a validation.
struct LaunchRequest {
    enum Code: Sendable {
        /// The project that the working directory is in, as it is now, and further roots.
        case directories([String])
        /// What a run had.
        case snapshot(RecordedCode)
    }

    var command: [String]
    /// `--data` arguments.
    var data: [String] = []
    var code = Code.directories([])
    /// Further roots of a run that is repeated, as they were then.
    var roots: [RecordedCode] = []
    /// The job's, to which the variables of the run are added, and the directory in which it starts.
    var environment: ProcessEnvironment
    var inPlace = false
    var strict = false
    /// `nil`: random.
    var seed: UInt32?
    var tag: String?
    var note: String?
    /// Whether `{data}` and the like are replaced in the command.
    var expands = true
    var serve = DataChoice.auto
    /// The run that this host is compared with, and the worst class of drift that is accepted.
    var like: String?
    var require: String?
    /// Why secrets in the command, the environment and the code are let pass; `nil`: they are not.
    var allowSecrets: String?
    /// References that must not be read.
    var deny: [String] = []
    var freezesEnvironment = true
    var recordsAccess = true
    /// Whether what the job prints is shown as it comes.
    var showsOutput = true
    /// Larger files that the job writes into its working directory are listed only, bytes; `nil`: as `dfs.toml` says.
    var maximumFile: UInt64?
    /// Of a step of several processes, whose other ranks join this run's view.
    var ranks: RankLeader?
    /// The run that this one repeats.
    var repeats: RunID?
    /// The environment of the run that is repeated, where this machine has another.
    var environmentMounts: FrozenMounts?
    /// Modules from outside of code and environment, where this machine has others.
    var importedMounts: ImportedMounts?
    /// Names of variables whose values are recorded; `nil`: those of `dfs.toml`.
    var recordedVariables: [String]?

    init(command: [String], environment: ProcessEnvironment) {
        self.command = command
        self.environment = environment
    }
}
