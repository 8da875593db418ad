import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// A run's record of accesses as an in-toto Statement with a runtime-trace predicate
/// (github.com/in-toto/attestation, spec/predicates/runtime-trace.md), FORMAT.md §8.6.
///
/// Its subject is the run, by the digest of its plan's record, which names code, data, host and seed. (Outputs cannot be:
/// they are named by the entry that names this statement.)
package struct AccessStatement {
    package static let predicateType = "https://in-toto.io/attestation/runtime-trace/v0.1"

    package let run: RunRecord
    package let trace: AccessTrace
    package let coverage: AccessCoverage
    package let ended: Timestamp

    /// Reads the logs of the run's evidence folder; digests that they lack come from the versions' trees.
    package init(
        of run: RunRecord, folder: String, repository: Repository, state: LedgerState, ended: Timestamp,
        interrupted: String? = nil
    ) throws(DFSError) {
        self.run = run
        self.ended = ended
        var trace = try AccessTrace.read(folder: folder)
        try trace.complete { source, directory, names throws(DFSError) in
            guard case .dataset(let name, let number) = source, let version = state.datasets[name]?.version(number)
            else { return names.map { _ in nil } }
            let root = TreeEntry.root(version.tree, modified: version.time)
            return try Self.find(names, in: directory, below: root, repository.reader)
        }
        coverage = AccessCoverage(trace, interrupted: interrupted)
        self.trace = trace
    }

    /// Above so many names of a directory all of it is read, instead of each looked up.
    private static let few = 16

    private static func find(
        _ names: [[UInt8]], in directory: [UInt8], below root: TreeEntry, _ reader: TreeReader
    ) throws(DFSError) -> [(Digest, UInt64)?] {
        let path = directory.split(separator: UInt8(ascii: "/")).map { Array($0) }
        guard let entry = try reader.entry(at: path, below: root), let address = entry.address else {
            return names.map { _ in nil }
        }
        func known(_ entry: TreeEntry?) -> (Digest, UInt64)? {
            entry.flatMap { $0.kind == .file ? ($0.content.digest, $0.size) : nil }
        }
        if names.count <= few {
            var out = [(Digest, UInt64)?]()
            for name in names { out.append(known(try reader.entry(named: name, in: address))) }
            return out
        }
        var wanted = [[UInt8]: Int](minimumCapacity: names.count)
        for (i, name) in names.enumerated() { wanted[name] = i }
        var out = [(Digest, UInt64)?](repeating: nil, count: names.count)
        try reader.forEach(in: address) { entry throws(DFSError) in
            if let i = wanted[entry.name] { out[i] = known(entry) }
            return true
        }
        return out
    }

    // MARK: Summary

    /// What the run's result says of it.
    package var summary: JSONValue {
        var data = [String: JSONValue]()
        for one in coverage.served {
            var members: [String: JSONValue] = [
                "dataset": .string(one.dataset), "version": .integer(Int64(one.version)), "way": .string(one.way),
                "of": .integer(Int64(clamping: one.files)),
            ]
            if one.monitor == "none" {
                members["unknown"] = .string(one.reason ?? "nobody watched")
            } else {
                members["opened"] = .integer(Int64(coverage.opened(one.key)))
            }
            data[one.key] = .object(members)
        }
        let code = trace.files.count { if case .code = $0.source { true } else { false } }
        return [
            "complete": .bool(coverage.isComplete), "files": .integer(Int64(trace.files.count)), "data": .object(data),
            "code": coverage.code.monitor == "none"
                ? ["unknown": .string(coverage.code.reason ?? "nobody watched")] : .integer(Int64(code)),
            "denied": .integer(Int64(trace.attempts)),
        ]
    }

    // MARK: Writing

    /// Writes the statement into a folder, whole or not at all.
    package func write(folder: String) throws(DFSError) {
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o644)
        var out = AccessStatementText()
        out.put("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"dfsCoverage\":")
        out.put(json: coverage.json)
        out.put(",\"dfsDenied\":[")
        for (i, denial) in trace.denials.enumerated() {
            if i > 0 { out.put(",") }
            out.put(json: Self.json(denial))
        }
        out.put("],\"metadata\":")
        out.put(json: ["buildFinishedOn": .string(ended.description), "buildStartedOn": .string(run.time.description)])
        out.put(",\"monitor\":")
        out.put(json: monitor)
        out.put(",\"monitorLog\":{\"fileAccess\":[")
        for (i, opened) in trace.files.enumerated() {
            // One on each line, so that it can be read piece by piece.
            out.put(i > 0 ? ",\n" : "\n")
            out.put(opened)
            guard out.bytes.count >= 1 << 20 else { continue }
            try file.append(out.bytes)
            out.clear()
        }
        out.put("\n]},\"monitoredProcess\":")
        out.put(json: [
            "event": .string("run:\(run.id)"), "hostID": .string("dfs:key:\(run.key.text)"),
            "type": "dfs:run/1",
        ])
        out.put("},\"predicateType\":")
        out.put(json: .string(Self.predicateType))
        out.put(",\"subject\":")
        out.put(json: [["digest": ["sha256": .string(run.record.record.digest.hex)], "name": .string("run:\(run.id)")]])
        out.put("}\n")
        try file.append(out.bytes)
        try file.replace(folder + "/" + AccessLogName.statement)
    }

    private var monitor: JSONValue {
        [
            "type": "dfs:access/1", "configSource": [:],
            "tracePolicy": ["monitors": .array(trace.sessions.map(\.header))],
        ]
    }

    private static func json(_ denial: AccessTrace.Denial) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(denial.source.reference + AccessStatementText.suffix(denial.path)),
            "operation": .string(denial.operation), "first": .string(denial.first.description),
            "last": .string(denial.last.description), "count": .integer(Int64(denial.count)),
        ]
        if denial.pid > 0 { members["pid"] = .integer(Int64(denial.pid)) }
        if let command = denial.command { members["command"] = .string(command) }
        return .object(members)
    }
}
