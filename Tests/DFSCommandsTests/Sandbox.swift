import DFSCommands
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc

/// A home, a working directory and a machine's configuration of a test's own; removed with it.
final class Sandbox: Sendable {
    let root: String

    init() throws {
        var template = Array("/tmp/dfs-commands-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw System.error(errno, "cannot make a directory") }
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for name in ["home", "work/deep/er", "etc", "scratch"] { try Files.makeDirectories(root + "/" + name) }
    }

    deinit { try? Files.removeTree(root) }

    var home: String { root + "/home" }
    var work: String { root + "/work" }

    func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

    func write(_ bytes: [UInt8], to path: String) throws {
        let full = root + "/" + path
        try Files.makeDirectories(Files.parent(full))
        let file = try OwnedDescriptor.open(full, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try Files.write(bytes, to: file.raw, what: full)
    }

    func environment(_ variables: [String: String] = [:], home: String?? = .none) -> ProcessEnvironment {
        var environment = ProcessEnvironment(
            variables: variables, workingDirectory: work, home: home ?? self.home)
        environment.systemConfiguration = root + "/etc/config.toml"
        return environment
    }

    /// What one call of the program did.
    struct Answer {
        let code: Int32
        let output: String
        let error: String

        var errorLines: [Substring] { error.split(separator: "\n") }
    }

    /// Runs the program in this process.
    func call(_ arguments: String..., environment: ProcessEnvironment? = nil) throws -> Answer {
        try call(arguments, environment: environment)
    }

    func call(_ arguments: [String], environment: ProcessEnvironment? = nil) throws -> Answer {
        let (output, error) = (try scratchFile("out"), try scratchFile("err"))
        let code = Invocation(
            arguments: arguments, environment: environment ?? self.environment(),
            streams: StandardStreams(output: output.raw, error: error.raw)
        ).run()
        return Answer(code: code, output: try text("out"), error: try text("err"))
    }

    /// Runs the built program.
    func spawn(
        _ arguments: [[UInt8]], program: String = "dfs", variables: [String: String] = [:], output: Int32? = nil
    ) throws -> SpawnedProgram {
        try SpawnedProgram(
            program, arguments, variables: ["HOME": home].merging(variables) { $1 }, in: work, output: output,
            scratch: root + "/scratch")
    }

    func spawn(_ arguments: String..., program: String = "dfs") throws -> SpawnedProgram.Result {
        try spawn(arguments.map { Array($0.utf8) }, program: program).wait()
    }

    func scratchFile(_ name: String) throws -> OwnedDescriptor {
        try OwnedDescriptor.open(root + "/scratch/" + name, O_RDWR | O_CREAT | O_TRUNC)
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Files.read(root + "/scratch/" + name) ?? [], as: UTF8.self)
    }

    /// An output whose two sides are scratch files `out` and `err`, as if they were terminals where told so.
    func output(
        _ format: Output.Format = .text, quiet: Bool = false, terminal: Bool = false, color: Style.Choice = .never
    ) throws -> (Output, [OwnedDescriptor]) {
        let files = [try scratchFile("out"), try scratchFile("err")]
        var streams = StandardStreams(output: files[0].raw, error: files[1].raw)
        (streams.outputIsTerminal, streams.errorIsTerminal) = (terminal, terminal)
        let output = Output(
            streams: streams, format: format, quiet: quiet, color: color, environment: environment())
        return (output, files)
    }
}
