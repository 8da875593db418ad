import DFSModel
import DFSSystem

/// A directory or file that belongs to the environment of a run and is frozen as a whole.
package struct EnvironmentPart: Sendable, Hashable {
    /// Who made it, which tells what can be made again from where.
    package enum Kind: String, Sendable {
        /// A virtual environment (venv, virtualenv, `uv venv`).
        case virtual
        /// The prefix of a Python that uv has installed.
        case uv
        /// … that pyenv has built.
        case pyenv
        /// A conda environment (also micromamba's, pixi's).
        case conda
        /// … of another origin: built from source, unpacked.
        case python
        /// What belongs to the system's own Python below /usr.
        case system
        /// Packages in the user's home (`pip install --user`).
        case user
        /// A library or program that was mapped and lies in none of the others.
        case library
    }

    package let path: String
    package let kind: Kind

    package init(_ path: String, _ kind: Kind) {
        self.path = path
        self.kind = kind
    }

    /// Whether `path` is the part or in it.
    func contains(_ path: String) -> Bool { path == self.path || path.hasPrefix(self.path + "/") }
}

/// The parts of a Python environment.
package enum EnvironmentParts {
    /// Of the interpreter that `executable` starts; empty when no library folder belongs to it.
    static func of(executable: String) -> [EnvironmentPart] {
        guard let installation = PythonInstallation(executable: executable) else { return [] }
        var parts = [EnvironmentPart]()
        if installation.isVirtual { parts.append(EnvironmentPart(installation.prefix, .virtual)) }
        return parts + base(installation)
    }

    private static func base(_ installation: PythonInstallation) -> [EnvironmentPart] {
        let prefix = installation.basePrefix
        guard !isSystem(prefix) else {
            return system(prefix, installation.library).filter { Files.exists($0) }.map { EnvironmentPart($0, .system) }
        }
        let kind = kind(of: prefix)
        // What nobody has marked as Python's may be anything, as a home directory into which Python was unpacked.
        guard kind == .python else { return [EnvironmentPart(prefix, kind)] }
        return plain(prefix, installation.library).map { EnvironmentPart($0, kind) }
    }

    /// What is Python's of any prefix.
    private static func plain(_ prefix: String, _ library: String) -> [String] {
        func named(_ folder: String, _ start: String) -> [String] {
            ((try? DirectoryListing.names(of: prefix + folder)) ?? []).map { String(decoding: $0, as: UTF8.self) }
                .filter { $0.hasPrefix(start) }.sorted().map { "\(prefix)\(folder)/\($0)" }
        }
        let folders = ["lib", "lib64"].flatMap { lib in
            ["\(prefix)/\(lib)/\(library)"] + named("/" + lib, "libpython")
        }
        return (folders + ["\(prefix)/include/\(library)"]).filter { Files.exists($0) } + named("/bin", "python")
    }

    /// Prefixes that hold much more than Python.
    private static func isSystem(_ prefix: String) -> Bool { ["/", "/usr", "/usr/local"].contains(prefix) }

    /// By the marks that installers leave.
    static func kind(of prefix: String) -> EnvironmentPart.Kind {
        if Files.isDirectory(prefix + "/conda-meta") { return .conda }
        // uv: …/uv/python/cpython-3.12.7-linux-x86_64-gnu; pyenv: $PYENV_ROOT/versions/3.11.7.
        let names = prefix.split(separator: "/")
        if names.count > 2, names[names.count - 2] == "python", names[names.count - 3] == "uv" { return .uv }
        if names.count > 2, names[names.count - 2] == "versions",
            Files.isDirectory(Files.parent(Files.parent(prefix)) + "/shims")
        {
            return .pyenv
        }
        return .python
    }

    /// `library` is `python3.11`. Debian keeps packages for all its Pythons in /usr/lib/python3.
    private static func system(_ prefix: String, _ library: String) -> [String] {
        let usr = prefix == "/" ? "/usr" : prefix
        let name = String(library.prefix { !$0.isNumber }) + "3"
        var paths = [
            "\(usr)/lib/\(library)", "\(usr)/lib64/\(library)", "\(usr)/lib/\(name)", "/etc/\(library)",
            "\(usr)/bin/\(library)", "\(usr)/bin/\(name)", "\(usr)/bin/python",
        ]
        if usr == "/usr" { paths += ["lib", "lib64"].map { "/usr/local/\($0)/\(library)" } }
        return paths
    }

    /// Of a run whose host record says `python`, and whose processes had `mapped` these files. The interpreter that the host
    /// record found counts if the command starts it or one of its files was mapped; others are found by their files.
    package static func find(
        python: JSONValue?, home: String?, mapped: [String]
    ) -> [EnvironmentPart] {
        var parts = [EnvironmentPart]()
        var executables = [String]()
        if let executable = python?["executable"]?.string.map({ full($0, home) }) {
            let found = of(executable: executable)
            let isCertain = python?["found_through"]?.string?.hasSuffix(" in PATH") != true
            let real = Files.resolved(executable)
            if isCertain || mapped.contains(where: { path in path == real || found.contains { $0.contains(path) } }) {
                parts += found
                parts += userSites(python, home)
            }
        }
        executables += mapped.filter { PythonFinder.isPython(PythonFinder.name($0)) }
        for executable in executables where !parts.contains(where: { $0.contains(executable) }) {
            parts += of(executable: executable)
        }
        for prefix in prefixes(of: mapped) where !parts.contains(where: { $0.contains(prefix) }) {
            parts += of(executable: prefix + "/bin/python")
        }
        return disjoint(parts)
    }

    /// A path of the host record, in which `~` stands for the home directory.
    package static func full(_ path: String, _ home: String?) -> String {
        guard let home, path == "~" || path.hasPrefix("~/") else { return path }
        return home + path.dropFirst()
    }

    private static func userSites(_ python: JSONValue?, _ home: String?) -> [EnvironmentPart] {
        guard let home else { return [] }
        return (python?["site_directories"]?.array ?? []).compactMap(\.string).map { full($0, home) }
            .filter { $0.hasPrefix(home + "/.local/lib/") }.map { EnvironmentPart($0, .user) }
    }

    /// Environments in whose packages one of the files lies.
    private static func prefixes(of mapped: [String]) -> [String] {
        var found = [String](), seen = Set<String>()
        for path in mapped {
            guard let range = path.firstRange(of: "/lib/python") ?? path.firstRange(of: "/lib64/python") else {
                continue
            }
            let prefix = String(path[..<range.lowerBound])
            guard seen.insert(prefix).inserted, Files.exists(prefix + "/bin/python") else { continue }
            found.append(prefix)
        }
        return found
    }

    /// Without those that lie in others, in order.
    static func disjoint(_ parts: [EnvironmentPart]) -> [EnvironmentPart] {
        var out = [EnvironmentPart]()
        for part in parts where !out.contains(where: { $0.contains(part.path) }) {
            out.removeAll { part.contains($0.path) }
            out.append(part)
        }
        return out
    }

    /// Mapped files that lie in no part, with all of the C library where one of its parts is among them.
    static func libraries(_ mapped: [String], besides parts: [EnvironmentPart]) -> [EnvironmentPart] {
        var seen = Set<String>()
        return (mapped + SystemLibraries.family(of: mapped)).filter { path in
            !parts.contains { $0.contains(path) } && seen.insert(path).inserted
        }.map { EnvironmentPart($0, .library) }
    }
}
