import DFSModel
import DFSStore

/// One name in a tree, as lists show it.
struct EntryFacts: Sendable {
    let path: [UInt8]
    let entry: TreeEntry

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "type": .string(entry.kindName), "path": .string(NameText.encode(path)),
            "size": .integer(Int64(clamping: entry.size)), "content": .string(entry.content.digest.text),
            "mode": .string(entry.modeText), "modified": .string(entry.modified.description),
        ]
        if entry.kind == .directory { members["files"] = .integer(Int64(clamping: entry.files)) }
        if entry.kind == .file { members["executable"] = .bool(entry.isExecutable) }
        if entry.kind == .symlink { members["target"] = .string(NameText.encode(entry.target)) }
        return members
    }

    /// The name with what it is behind it, as ls -F has it.
    var nameCell: Cell {
        switch entry.kind {
        case .directory: .name(path + [UInt8(ascii: "/")], .accent)
        case .symlink: .name(path + Array(" -> ".utf8) + entry.target)
        case .file: .name(path)
        }
    }
}

extension TreeEntry {
    var kindName: String {
        switch kind {
        case .file: "file"
        case .directory: "directory"
        case .symlink: "symlink"
        }
    }

    /// `0644`
    var modeText: String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// `-rw-r--r--`
    var permissionText: String {
        let kind = self.kind == .directory ? "d" : self.kind == .symlink ? "l" : "-"
        return Array("rwxrwxrwx").enumerated().reduce(into: kind) { text, bit in
            text.append(mode >> UInt16(8 - bit.offset) & 1 == 1 ? bit.element : "-")
        }
    }
}

/// A line of `dfs ls REF`.
struct EntryRow: Row {
    static let schema = "dfs.ls/1"
    static let columns = [Column("size", .right), Column("name")]

    let facts: EntryFacts

    var json: [String: JSONValue] { facts.json }
    var cells: [Cell] { [.size(facts.entry.size), facts.nameCell] }
    var key: Cell { .name(facts.path) }
}

/// A line of `dfs ls -l REF`.
struct LongEntryRow: Row {
    static let schema = "dfs.ls/1"
    static let columns = [
        Column("mode"), Column("size", .right), Column("files", .right), Column("modified"), Column("content"),
        Column("name"),
    ]

    let facts: EntryFacts

    var json: [String: JSONValue] { facts.json }
    var cells: [Cell] {
        let entry = facts.entry
        return [
            .text(entry.permissionText), .size(entry.size),
            entry.kind == .directory ? .number(entry.files) : .text(""), .time(entry.modified),
            .text(entry.content.digest.short, .dim), facts.nameCell,
        ]
    }
    var key: Cell { .name(facts.path) }
}
