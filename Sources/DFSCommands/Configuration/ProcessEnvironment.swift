import DFSModel
import DFSSystem
import Glibc

/// What a process is given by its caller. Read once; commands and tests hold a value, never the globals.
package struct ProcessEnvironment: Sendable {
    /// As `ArgumentText`: names and values are bytes.
    package var variables: [String: String]
    /// Absolute; `nil` when the working directory was removed.
    package var directory: String?
    /// The user's home: `HOME`, else what the password database says; nil where neither names a directory.
    package var home: String?
    /// The configuration of the machine; elsewhere in tests.
    package var systemConfiguration = "/etc/dfs/config.toml"

    package init(variables: [String: String], workingDirectory: String?, home: String?) {
        self.variables = variables
        directory = workingDirectory
        self.home = home
    }

    package static func current() -> ProcessEnvironment {
        var variables = [String: String]()
        var next = environ
        while let entry = next.pointee {
            let text = ArgumentText.text(
                of: UnsafeBufferPointer(start: entry, count: strlen(entry)).map { UInt8(bitPattern: $0) })
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next = next.advanced(by: 1)
        }
        return ProcessEnvironment(
            variables: variables, workingDirectory: Files.workingDirectory(), home: home(variables["HOME"]))
    }

    /// Absolute. Throws when it was removed: what would be taken instead is never what was meant.
    package var workingDirectory: String {
        get throws(DFSError) {
            if let directory { return directory }
            throw DFSError(
                .operational, "the working directory no longer exists", hint: "cd \(ShellText.quote(home ?? "/"))")
        }
    }

    /// An absolute path without `.` and `..` for one that starts where the process was called.
    package func absolute(_ path: String) throws(DFSError) -> String {
        path.hasPrefix("/") ? Files.absolute(path) : Files.absolute(path, from: try workingDirectory)
    }

    /// A variable that is set to something; an empty one counts as unset.
    package subscript(name: String) -> String? {
        guard let value = variables[name], !value.isEmpty else { return nil }
        return value
    }

    private static func home(_ variable: String?) -> String? {
        if let variable, variable.hasPrefix("/") { return variable }
        guard let entry = getpwuid(getuid()), let directory = entry.pointee.pw_dir else { return nil }
        let path = String(cString: directory)
        return path.hasPrefix("/") && Files.isDirectory(path) ? path : nil
    }
}
