import DFSModel
import DFSStore

/// The most naive file system there is: a dictionary of paths.
package struct ReferenceFileSystem: Sendable {
    package struct Item: Sendable, Equatable {
        package enum Body: Sendable, Equatable {
            case file([UInt8])
            case directory
            case symlink([UInt8])
        }
        package var body: Body
        package var mode: UInt16
        package var modified: Timestamp

        package init(
            _ body: Body, mode: UInt16 = 0o644, modified: Timestamp = Timestamp(seconds: 1_700_000_000, nanoseconds: 7)
        ) {
            self.body = body
            self.mode = mode
            self.modified = modified
        }
    }

    package typealias Path = [[UInt8]]
    package private(set) var items: [Path: Item] = [[]: Item(.directory, mode: 0o755)]
    private var names: [Path: [[UInt8]]] = [:]

    package init() {}

    /// Adds an item, and the directories above it.
    package mutating func add(_ path: Path, _ item: Item) {
        guard !path.isEmpty else { return items[[]] = item }
        let parent = Array(path.dropLast())
        if items[parent] == nil { add(parent, Item(.directory, mode: 0o755)) }
        if items[path] == nil { names[parent, default: []].append(path[path.count - 1]) }
        items[path] = item
    }

    package mutating func add(_ path: String, _ body: Item.Body, mode: UInt16 = 0o644) {
        add(path.split(separator: "/").map { Array($0.utf8) }, Item(body, mode: mode))
    }

    package func children(of path: Path) -> [[UInt8]] {
        (names[path] ?? []).sorted { $0.lexicographicallyPrecedes($1) }
    }

    package var paths: [Path] { Array(items.keys) }

    /// Names that break what is not made of bytes.
    package static let oddNames: [[UInt8]] = [
        Array("new\nline".utf8), Array("tab\tand space ".utf8), [0xff], [0xfe], [0xc3, 0x28], Array("-rf".utf8),
        [UInt8](repeating: 0x61, count: 255), Array("e\u{301}".utf8), Array("\u{e9}".utf8), Array("quote\"'\\".utf8),
        Array("...".utf8), Array("\u{202e}rtl".utf8), [0x1b, 0x5b, 0x41], Array("CON".utf8), Array("con".utf8), [0x01],
        Array("latest".utf8), Array("v1".utf8), Array(".dfs".utf8), Array("{}".utf8),
    ]

    /// A random tree of about `count` items.
    package static func random(_ count: Int, _ generator: inout SeededGenerator) -> ReferenceFileSystem {
        var fs = ReferenceFileSystem()
        var directories: [Path] = [[]]
        for i in 0..<count {
            let parent = directories[Int.random(in: 0..<directories.count, using: &generator)]
            let odd = Int.random(in: 0..<5, using: &generator) == 0
            let name = odd ? oddNames[Int.random(in: 0..<oddNames.count, using: &generator)] : Array("n\(i)".utf8)
            let path = parent + [name]
            if fs.items[path] != nil { continue }
            let time = Timestamp(
                seconds: Int64.random(in: -1_000_000_000...4_000_000_000, using: &generator),
                nanoseconds: UInt32.random(in: 0..<1_000_000_000, using: &generator))
            let mode = [0o644, 0o755, 0o600, 0o444, 0o775][Int.random(in: 0..<5, using: &generator)] as UInt16
            switch Int.random(in: 0..<10, using: &generator) {
            case 0, 1:
                fs.add(path, Item(.directory, mode: 0o755, modified: time))
                directories.append(path)
            case 2:
                let target = Array("../some/where\(i)".utf8)
                fs.add(path, Item(.symlink(target), mode: 0o777, modified: time))
            default:
                let size = [0, 1, 100, 4095, 4096, 4097, 20_000][Int.random(in: 0..<7, using: &generator)]
                fs.add(path, Item(.file(generator.bytes(size)), mode: mode, modified: time))
            }
        }
        return fs
    }
}
