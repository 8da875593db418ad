import DFSModel
import DFSSystem

/// All that a command has of the world around it.
struct CommandContext: Sendable {
    let output: Output
    let progress: Progress
    let environment: ProcessEnvironment
    let streams: StandardStreams
    /// `--store` as given.
    let storeOption: String?
    /// Threads that work at once, at least 1.
    let jobs: Int
    let clock: @Sendable () -> Timestamp
    /// What must be undone when the user interrupts.
    let hooks: CleanupHooks

    var directories: Directories { Directories(environment) }

    /// The `dfs.toml` of the working directory or the nearest directory above it.
    func project() throws(DFSError) -> ProjectFile? {
        let project = try ProjectFile.find(from: try environment.workingDirectory)
        for warning in project?.warnings ?? [] { output.warn(warning) }
        return project
    }

    /// Where the store is, and which level of configuration says so. Whether it exists is not looked at.
    func storeLocation() throws(DFSError) -> StoreLocation {
        try StoreLocator(environment: environment).locate(option: storeOption)
    }

    /// An absolute path without `.` and `..` for one given on the command line.
    func absolute(_ path: String) throws(DFSError) -> String { try environment.absolute(path) }
}
