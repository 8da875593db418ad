import DFSModel
import DFSSystem
import Glibc

/// Which Python a command line would run.
struct PythonFinder {
    let path: String
    let workingDirectory: String

    struct Found: Equatable {
        /// An absolute path, symlinks kept: a virtual environment is known by the path it is started through.
        let executable: String
        /// What led there, for the record.
        let how: String
    }

    /// The program itself when it is a Python, the interpreter of a script, else `python3` or `python` in PATH.
    func find(_ arguments: [String]) -> Found? {
        var rest = arguments[...]
        var how = "argument 0"
        if rest.first.map(Self.name) == "env" {
            rest = rest.dropFirst().drop { $0.hasPrefix("-") || $0.contains("=") }
            how = "the command given to env"
        }
        if let first = rest.first, let program = search(first) {
            if Self.isPython(Self.name(first)) { return Found(executable: program, how: how) }
            if let interpreter = interpreter(of: program) {
                return Found(executable: interpreter, how: "the first line of \(Self.name(first))")
            }
        }
        for name in ["python3", "python"] {
            if let program = search(name) { return Found(executable: program, how: "\(name) in PATH") }
        }
        return nil
    }

    private func search(_ name: String) -> String? { Executables.find(name, path: path, from: workingDirectory) }

    /// The Python that a script's `#!` line names.
    private func interpreter(of script: String) -> String? {
        guard let head = Self.head(of: script, count: 1024), head.starts(with: Array("#!".utf8)) else { return nil }
        let lines = head.split(separator: 0x0a, maxSplits: 2, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        var words = lines[0].dropFirst(2).split(separator: " ").map(String.init)
        // Where the interpreter's path is too long for the kernel, pip has a shell start it: '''exec' PATH "$0" "$@".
        if lines.count > 1, lines[1].hasPrefix("'''exec' ") {
            words = [lines[1].dropFirst(9).split(separator: " ")[0].filter { $0 != "\"" }]
        }
        if words.first.map(Self.name) == "env" { words = Array(words.dropFirst().drop { $0.hasPrefix("-") }) }
        guard let name = words.first, Self.isPython(Self.name(name)) else { return nil }
        return search(name)
    }

    static func head(of path: String, count: Int) -> [UInt8]? {
        guard let file = try? OwnedDescriptor.open(path, O_RDONLY) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = read(file.raw, &bytes, count)
        return got < 0 ? nil : Array(bytes.prefix(got))
    }

    static func name(_ path: some StringProtocol) -> String {
        String(path.split(separator: "/").last ?? "")
    }

    /// `python`, `python3`, `python3.12`, `python3.13t`, `pypy3` …
    static func isPython(_ name: String) -> Bool {
        let rest: Substring
        if name.hasPrefix("python") {
            rest = name.dropFirst(6)
        } else if name.hasPrefix("pypy") {
            rest = name.dropFirst(4)
        } else {
            return false
        }
        return rest.allSatisfy { $0.isNumber || $0 == "." || $0 == "t" || $0 == "d" }
    }
}
