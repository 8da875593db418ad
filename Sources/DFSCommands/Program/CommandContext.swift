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
    func project() throws(DFSError) -> ProjectFile? { try ProjectFile.find(from: try environment.workingDirectory) }

    /// Tells of settings that mean nothing; called once by commands that go by a `dfs.toml`.
    func warnOfProject() throws(DFSError) {
        guard environment.directory != nil else { return }
        for warning in try project()?.warnings ?? [] { output.warn(warning) }
    }

    /// Where the store is, and which level of configuration says so. Whether it exists is not looked at.
    func storeLocation() throws(DFSError) -> StoreLocation {
        try StoreLocator(environment: environment).locate(option: storeOption)
    }

    /// Does `body`; where the user interrupts it, `undo` first.
    func undoing<R>(
        _ undo: @escaping @Sendable () -> Void, _ body: () throws(DFSError) -> R
    ) throws(DFSError) -> R {
        let hook = hooks.add(undo)
        defer { hooks.remove(hook) }
        return try body()
    }

    /// An absolute path without `.` and `..` for one given on the command line.
    func absolute(_ path: String) throws(DFSError) -> String { try environment.absolute(path) }
}
