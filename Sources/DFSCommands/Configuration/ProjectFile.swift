import DFSModel
import DFSSystem
import Glibc

/// `dfs.toml`: what a project says of itself.
package struct ProjectFile: Sendable, Equatable {
    /// What `[run]` sets for every run of the project.
    package struct RunDefaults: Sendable, Equatable {
        /// `--data` arguments as written.
        package var data: [String] = []
        package var require: String?
        /// Names of variables whose values are part of the record.
        package var environment: [String] = []
        /// Files whose secrets are let pass: lines of an ignore file.
        package var allowSecrets: [String] = []
        /// Larger files that a job writes into its working directory are listed only.
        package var maximumFile: ByteCount?
        /// Larger environments are not frozen as a whole.
        package var freezeLimit: ByteCount?
    }

    package static let name = "dfs.toml"

    /// The absolute path of the file.
    package let path: String
    /// As written; `StoreLocator` makes a place of it.
    package let store: String?
    package let projectName: String?
    /// Dataset names to absolute paths.
    package let data: [String: String]
    package let run: RunDefaults
    /// Keys that mean nothing here, one sentence each.
    package let warnings: [String]

    /// The directory that the file describes; relative paths in it start there.
    package var directory: String { Files.parent(path) }

    /// Reads the file of `directory` or the nearest directory above; `nil` when there is none.
    package static func find(from directory: String) throws(DFSError) -> ProjectFile? {
        var current = Files.absolute(directory)
        while true {
            let path = (current == "/" ? "" : current) + "/" + name
            if let status = try FileStatus.of(path: path, following: true), status.kind == .file {
                try refuseStranger(path, status, in: current)
                if let file = try TOMLFile.read(path) { return try ProjectFile(file) }
            }
            if current == "/" { return nil }
            current = Files.parent(current)
        }
    }

    init(_ file: TOMLFile) throws(DFSError) {
        path = file.path
        let base = Files.parent(file.path)
        store = try file.string("store")
        projectName = try file.string("name", in: "project")
        var data = [String: String]()
        for key in try file.keys(of: "data") {
            data[key] = try file.string(key, in: "data").map { Files.absolute($0, from: base) }
        }
        self.data = data
        run = RunDefaults(
            data: try file.strings("data", in: "run"), require: try file.string("require", in: "run"),
            environment: try file.strings("env", in: "run"),
            allowSecrets: try file.strings("allow-secrets", in: "run"),
            maximumFile: try file.size("max-file", in: "run"), freezeLimit: try file.size("freeze-limit", in: "run"))
        warnings = file.unknownKeys(besides: [
            "store", "project.name", "data.*", "run.data", "run.require", "run.env", "run.max-file",
            "run.allow-secrets", "run.freeze-limit",
        ])
    }

    /// In a directory that anyone may write to, a file of someone else must not choose where data goes.
    private static func refuseStranger(_ path: String, _ status: FileStatus, in directory: String) throws(DFSError) {
        guard status.uid != geteuid(), status.uid != 0,
            let parent = try FileStatus.of(path: directory, following: true), parent.mode & 0o002 != 0
        else { return }
        throw DFSError(
            .refused, "\(path) is not used", cause: "another user put it into a directory that anyone may write to",
            hint: "ls -ld \(ShellText.quote(directory)) \(ShellText.quote(path))")
    }
}
