import ArgumentParser
import DFSChunking
import DFSModel
import DFSRuns
import DFSSystem

/// `dfs host`: this machine's record.
struct HostCommand: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is recorded of this machine with every run.")

    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        try context.output.report(HostReport(record: HostFacts.capture(try context.hostRequest(arguments: []))))
        return .done
    }
}

extension CommandContext {
    /// How a host record is taken for a job with these arguments.
    func hostRequest(
        arguments: [String], environment job: ProcessEnvironment? = nil
    ) throws(DFSError) -> HostRequest {
        let job = job ?? environment
        return HostRequest(
            arguments: arguments, environment: job.variables, workingDirectory: try job.workingDirectory,
            home: environment.home, cacheDirectory: (try? directories.cache()).map { $0 + "/host" },
            gpuHelper: [ServerProcess.executable, "__nvml"], hash: { Digest.of($0) })
    }
}

struct HostReport: Report {
    static let schema = "dfs.host/1"

    let record: HostRecord

    var json: [String: JSONValue] { record.value.object ?? [:] }

    func print(to output: Output) throws(DFSError) {
        var fields = [(String, Cell)]()
        for (name, part) in [
            ("identity", record.identity), ("", record.stable), ("job", record.job), ("now", record.volatile),
        ] {
            Self.collect(part, name, &fields)
        }
        try output.fields(fields)
    }

    /// Members as dotted names; long lists as their lengths, since packages number in the thousands.
    private static func collect(_ value: JSONValue, _ name: String, _ fields: inout [(String, Cell)]) {
        switch value {
        case .object(let members):
            if members.count == 1, let reason = members["unknown"]?.string {
                return fields.append((name, .text("unknown: \(reason)", .warning)))
            }
            if members.count == 1, let looked = members["none"]?.string {
                return fields.append((name, .text("none: \(looked)", .dim)))
            }
            if members.count > 40 { return fields.append((name, .text(Quantity.count(members.count, "item")))) }
            for (member, value) in members.sorted(by: { $0.key < $1.key }) {
                collect(value, name.isEmpty ? member : name + "." + member, &fields)
            }
        case .array(let values):
            let text = value.canonicalText
            if text.utf8.count <= 120 { return fields.append((name, .text(text))) }
            if values.count > 8 { return fields.append((name, .text(Quantity.count(values.count, "item")))) }
            for (i, value) in values.enumerated() { collect(value, "\(name).\(i)", &fields) }
        case .string(let text): fields.append((name, .text(text)))
        default: fields.append((name, .text(value.canonicalText)))
        }
    }
}
