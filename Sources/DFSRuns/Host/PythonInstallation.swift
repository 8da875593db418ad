import DFSModel
import DFSSystem

/// Where an interpreter looks for packages, found by the rules of Python's own start-up, without starting it.
struct PythonInstallation: Equatable {
    /// The environment's root: of a virtual environment its folder, else the folder above `bin`.
    let prefix: String
    /// The root of the installation that holds the standard library.
    let basePrefix: String
    /// `python3.11`: the name of the library folder.
    let library: String
    let isVirtual: Bool
    let seesSystemPackages: Bool

    /// `nil` when no folder with a standard library belongs to the executable.
    init?(executable: String) {
        let bin = Files.parent(executable)
        for folder in [bin, Files.parent(bin)] {
            guard let text = Fact.file(folder + "/pyvenv.cfg") else { continue }
            let settings = Self.settings(text)
            guard let home = settings["home"], let base = Self.base(bin: home, executable: executable) else { continue }
            prefix = folder
            (basePrefix, library) = base
            isVirtual = true
            seesSystemPackages = settings["include-system-site-packages"]?.lowercased() == "true"
            return
        }
        let resolved = Files.resolved(executable) ?? executable
        guard let base = Self.base(bin: Files.parent(resolved), executable: resolved) else { return nil }
        (basePrefix, library) = base
        prefix = basePrefix
        isVirtual = false
        seesSystemPackages = true
    }

    private static func settings(_ text: String) -> [String: String] {
        var out = [String: String]()
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let value = Fact.trimmed(line[line.index(after: equals)...])
            out[Fact.trimmed(line[..<equals]).lowercased()] = String(value)
        }
        return out
    }

    /// The prefix above `bin` and its library folder, recognised by `os.py`.
    private static func base(bin: String, executable: String) -> (String, String)? {
        let resolved = Files.resolved(executable) ?? executable
        for bin in [bin, Files.parent(resolved)] {
            let prefix = Files.parent(bin)
            // The name may say it: python3.11.
            let name = PythonFinder.name(resolved)
            for lib in ["lib", "lib64"] {
                if name.contains("."), Files.exists("\(prefix)/\(lib)/\(name)/os.py") { return (prefix, name) }
            }
            for lib in ["lib", "lib64"] {
                let folders = ((try? DirectoryListing.names(of: "\(prefix)/\(lib)")) ?? [])
                    .map { String(decoding: $0, as: UTF8.self) }
                    .filter { $0.hasPrefix("python") && Files.exists("\(prefix)/\(lib)/\($0)/os.py") }
                // Of several, the executable's name would have had to say which.
                if folders.count == 1 { return (prefix, folders[0]) }
            }
        }
        return nil
    }

    /// The directories that hold installed packages, in the order of `sys.path`. Only those that exist.
    func siteDirectories(environment: [String: String], workingDirectory: String) -> [String] {
        var out = (environment["PYTHONPATH"] ?? "").split(separator: ":").map {
            Files.absolute(String($0), from: workingDirectory)
        }
        if isVirtual {
            out += ["lib", "lib64"].map { "\(prefix)/\($0)/\(library)/site-packages" }
        }
        if seesSystemPackages {
            if environment["PYTHONNOUSERSITE"]?.isEmpty ?? true, let home = environment["HOME"] {
                let base = environment["PYTHONUSERBASE"] ?? home + "/.local"
                out.append("\(base)/lib/\(library)/site-packages")
            }
            out += systemDirectories
        }
        var seen = Set<String>()
        return out.filter { Files.isDirectory($0) && seen.insert(Files.resolved($0) ?? $0).inserted }
    }

    private var systemDirectories: [String] {
        // Debian's own Python keeps packages in dist-packages and leaves site-packages of /usr/local to others.
        let debian = [
            basePrefix + "/local/lib/\(library)/dist-packages", basePrefix + "/lib/python3/dist-packages",
            basePrefix + "/lib/\(library)/dist-packages",
        ]
        if Files.isDirectory(debian[1]) { return debian }
        let plain = ["lib", "lib64"].map { "\(basePrefix)/\($0)/\(library)/site-packages" }
        guard basePrefix == "/usr" else { return plain }
        return ["lib", "lib64"].map { "/usr/local/\($0)/\(library)/site-packages" } + plain
    }
}
