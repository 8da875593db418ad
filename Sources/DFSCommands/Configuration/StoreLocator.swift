import DFSModel
import DFSSystem

/// Where the store is, and who says so.
package struct StoreLocation: Sendable, Equatable {
    package enum Level: Sendable, Equatable {
        case option
        case variable
        case project(file: String)
        case user(file: String)
        case system(file: String)
        /// No level names a store.
        case fallback
    }

    /// An absolute path, or `s3://bucket/prefix`.
    package let location: String
    package let level: Level

    /// The first commit makes this one, if it is missing; no other.
    package var isDefault: Bool { level == .fallback }

    package var isRemote: Bool { location.hasPrefix("s3://") }

    /// For messages: `--store`, `DFS_STORE`, a file, or `default`.
    package var namedBy: String {
        switch level {
        case .option: "--store"
        case .variable: "DFS_STORE"
        case .project(let file), .user(let file), .system(let file): file
        case .fallback: "default"
        }
    }
}

extension StoreLocation {
    /// The error for a command that needs the store, where there is none.
    package var missing: DFSError {
        DFSError(
            .noStore, "there is no store at \(location)",
            cause: isDefault
                ? "no store is named anywhere, and this is where the first commit makes one" : "named by \(namedBy)",
            hint: isDefault ? "dfs commit --help" : "dfs init " + ShellText.quote(location))
    }
}

/// Finds the store: `--store`, `DFS_STORE`, the project's dfs.toml, the user's config.toml, the machine's, the default.
package struct StoreLocator: Sendable {
    private let environment: ProcessEnvironment

    package init(environment: ProcessEnvironment) { self.environment = environment }

    /// A level is read only when none before it names a store, so that a broken file hurts only those who need it.
    package func locate(option: String?) throws(DFSError) -> StoreLocation {
        if let option {
            guard !option.isEmpty else {
                throw DFSError(
                    .usage, "--store is empty", cause: "it takes a directory or s3://bucket/prefix", hint: "dfs doctor")
            }
            return StoreLocation(location: try ofCaller(option), level: .option)
        }
        if let variable = environment["DFS_STORE"] {
            return StoreLocation(location: try ofCaller(variable), level: .variable)
        }
        if let project = try ProjectFile.find(from: try environment.workingDirectory), let store = project.store {
            return StoreLocation(location: absolute(store, project.directory), level: .project(file: project.path))
        }
        let directories = Directories(environment)
        // Without a home there is no file of the user's, which is not yet an error.
        if let file = try? directories.configurationFile(), let store = try named(in: file) {
            return StoreLocation(location: store, level: .user(file: file))
        }
        if let store = try named(in: environment.systemConfiguration) {
            return StoreLocation(location: store, level: .system(file: environment.systemConfiguration))
        }
        return StoreLocation(location: try directories.data() + "/store", level: .fallback)
    }

    private func named(in file: String) throws(DFSError) -> String? {
        guard let settings = try TOMLFile.read(file), let store = try settings.string("store") else { return nil }
        return absolute(store, Files.parent(file))
    }

    private func ofCaller(_ location: String) throws(DFSError) -> String {
        if location.hasPrefix("s3://") || location.hasPrefix("~/") { return absolute(location, "/") }
        return try environment.absolute(location)
    }

    /// A relative path starts where it was written; `~/` is the home, which shells expand but files do not.
    private func absolute(_ location: String, _ base: String) -> String {
        if location.hasPrefix("s3://") { return location }
        if location.hasPrefix("~/"), let home = environment.home { return Files.absolute(home + location.dropFirst()) }
        return Files.absolute(location, from: base)
    }
}
