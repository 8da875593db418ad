import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSIndex

/// A directory that goes away with its owner.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/dfs-index-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw System.error(errno, "cannot make a directory") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit { try? Files.removeTree(path) }

    static func / (scratch: Scratch, name: String) -> String { scratch.path + "/" + name }
}

/// Repeatable numbers.
struct Random {
    private var state: UInt64

    init(seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func word() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// A number from 0 to `limit` - 1.
    mutating func below(_ limit: Int) -> Int { Int(word() >> 1) % limit }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: word() >> 24) } }
}

/// What the tests keep in an index.
enum Sample {
    static let tables = ["chunks", "state", "stat"]
    static let identity = "store 1, schema 1"

    static func key(_ i: Int) -> [UInt8] { keys[i] }

    /// Most values are short, some fill a quarter of a page, a few need pages of their own.
    static func value(_ table: String, _ i: Int) -> [UInt8] { values[table]?[i] ?? [] }

    private static let values = Dictionary(
        uniqueKeysWithValues: tables.map { table in
            (
                table,
                (0..<600).map { i in
                    var random = Random(seed: i &* 31 &+ table.utf8.count)
                    return random.bytes(i % 50 == 0 ? 3000 + i : i % 7 == 0 ? 900 : i % 40)
                }
            )
        })
    private static let keys = (0..<600).map { Array("key-\($0 * 7919 % 10007)".utf8) }

    static func open(_ directory: String, mapSize: Int = 1 << 20) throws -> Index {
        try Index.open(directory: directory, identity: identity, tables: tables, mapSize: mapSize)
    }

    /// Fills in several transactions, with deletions, so that there is a list of free pages.
    static func fill(_ index: Index, count: Int) throws {
        for part in 0..<4 {
            try index.write { t throws(DFSError) in
                for table in tables {
                    for i in stride(from: part, to: count, by: 4) { try t.put(table, key(i), value(table, i)) }
                    for i in stride(from: part, to: count, by: 12) { try t.delete(table, key(i)) }
                }
            }
        }
    }

    static func isKept(_ i: Int) -> Bool { i % 12 >= 4 }

    struct Findings: Codable {
        var right = 0
        var absent = 0
        var wrong = 0
    }

    /// Looks every key up, and lists every table.
    static func inspect(_ index: Index, count: Int) throws -> Findings {
        try index.read { t throws(DFSError) in
            var found = Findings()
            for table in tables {
                var expectedValues: [[UInt8]: [UInt8]] = [:]
                for i in 0..<count where isKept(i) {
                    let expected = value(table, i)
                    expectedValues[key(i)] = expected
                    switch try t.get(table, key(i)) {
                    case nil: found.absent += 1
                    case expected?: found.right += 1
                    default: found.wrong += 1
                    }
                }
                try t.forEach(table, prefix: []) { key, value throws(DFSError) in
                    if expectedValues[key] != value { found.wrong += 1 }
                    return true
                }
            }
            return found
        }
    }
}

/// What goes wrong in a child process, for the test that started it to tell: an exit test says only how it ended.
enum Child {
    /// Runs `body` in the child; an error is written to `file` before it ends the child.
    static func run(_ file: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            let fd = try OwnedDescriptor.open(file, O_WRONLY | O_CREAT | O_TRUNC)
            try Files.write(Array("\(error)".utf8), to: fd.raw, what: file)
            throw error
        }
    }

    static func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        guard condition else { throw DFSError(.corrupt, what()) }
    }

    /// In the parent.
    static func report(_ file: String) throws {
        if let text = try Files.read(file) { Issue.record("\(String(decoding: text, as: UTF8.self))") }
    }
}
