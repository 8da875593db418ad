import DFSLedger
import DFSModel

/// What `dfs show` says of a version that was taken out: who did it, when and why.
struct RemovedVersionReport: Report {
    static let schema = "dfs.show/1"

    let dataset: String
    let version: VersionRecord
    let removal: VersionRemoval
    let text: JSONValue
    let isRead: Bool

    var json: [String: JSONValue] {
        [
            "type": "removed", "dataset": .string(dataset), "version": .integer(Int64(version.number)),
            "tree": version.tree.json, "content": .string(version.content.digest.text),
            "time": .string(version.time.description), "entry": .integer(Int64(clamping: version.sequence)),
            "key": .string(version.key.text),
            "removed": [
                "time": .string(removal.time.description), "entry": .integer(Int64(clamping: removal.sequence)),
                "key": .string(removal.key.text), "text": text, "whole": .bool(removal.isWhole),
            ],
            "readByRuns": .bool(isRead),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        var fields: [(String, Cell)] = [
            ("version", .text("\(dataset)@v\(version.number)", .strong)),
            (
                "removed",
                .text(removal.time.description + (removal.isWhole ? ", with the whole dataset" : ""), .warning)
            ),
            ("reason", .text(text["reason"]?.string ?? text["unavailable"]?.string ?? "")),
        ]
        fields += TextFields.cells(text)
        fields += [
            ("removal", .text("entry \(removal.sequence), signed by \(removal.key.text)")),
            ("content", .text(version.content.digest.text)), ("files", .number(version.tree.files)),
            ("size", .size(version.tree.bytes)), ("recorded", .text(version.time.description)),
            ("entry", .text("\(version.sequence), signed by \(version.key.text)")),
        ]
        if isRead { fields.append(("kept", .text("for runs that read it, below their data/"))) }
        try output.fields(fields)
    }
}
