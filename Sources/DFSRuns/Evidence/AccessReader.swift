import DFSHistory
import DFSLedger
import DFSModel
import DFSStore

/// Reads the statement of a run that has ended, file by file.
package struct AccessReader {
    package struct File: Sendable {
        package let name: String
        package let uri: String
        package let digest: Digest?
        package let first, last: String
        package let count: Int64
        package let size: UInt64?
    }

    private let reader: TreeReader
    private let statement: TreeEntry

    /// Errors: `.noReference` where the run has none.
    package init(of run: RunRecord, repository: Repository) throws(DFSError) {
        reader = repository.reader
        let name = Array(AccessLogName.statement.utf8)
        guard let end = run.end, let evidence = end.evidence,
            let entry = try reader.entry(at: [name], below: .root(evidence, modified: end.time)), entry.kind == .file
        else {
            let cause = Self.absence(of: run, repository)
            throw DFSError(
                .noReference, "run:\(run.id) has no record of what it opened", cause: cause,
                hint: "dfs show run:\(run.id)")
        }
        statement = entry
    }

    private static func absence(of run: RunRecord, _ repository: Repository) -> String {
        guard let end = run.end else { return "the run has not ended" }
        let said = (try? repository.objects.json(end.record.record, what: "the result"))?["access"]
        return (said?["none"] ?? said?["unknown"])?.string ?? "its evidence has none"
    }

    /// Calls `body` with each opened file, and returns the rest of the statement.
    package func read(_ body: (File) throws(DFSError) -> Void) throws(DFSError) -> JSONValue {
        var line = [UInt8](), frame = [UInt8]()
        func take(_ line: inout [UInt8]) throws(DFSError) {
            defer { line.removeAll(keepingCapacity: true) }
            guard line.starts(with: Self.beginning) else {
                frame += line
                return
            }
            if line.last == UInt8(ascii: ",") { line.removeLast() }
            guard let file = File(try JSONValue.parse(line)) else { throw Self.malformed }
            try body(file)
        }
        try reader.forEachPiece(of: statement) { piece throws(DFSError) in
            for part in piece.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
                if part.offset > 0 { try take(&line) }
                line += part.element
            }
        }
        try take(&line)
        return try JSONValue.parse(frame)
    }

    private static let beginning = Array("{\"annotations\":".utf8)
    private static let malformed = DFSError(
        .corrupt, "a record of accesses cannot be read", hint: "dfs verify --data")
}

extension AccessReader.File {
    fileprivate init?(_ json: JSONValue) {
        let notes = json["annotations"]
        guard let name = json["name"]?.string, let uri = json["uri"]?.string, let first = notes?["first"]?.string,
            let last = notes?["last"]?.string, let count = notes?["count"]?.integer
        else { return nil }
        self.name = name
        self.uri = uri
        digest = json["digest"]?["sha256"]?.string.flatMap { Digest(text: "sha256:" + $0) }
        (self.first, self.last, self.count) = (first, last, count)
        size = notes?["size"]?.integer.flatMap { UInt64(exactly: $0) }
    }
}
