import DFSModel
import DFSTestSupport
import DFSVirtual

/// Paths through a virtual tree, as a kernel would walk them.
struct TreeWalker {
    let tree: VirtualTree
    let history: FakeHistory

    init(
        history: FakeHistory = FakeHistory(), journal: IdentityJournal? = nil, denials: Denials = Denials(),
        accesses: AccessRecorder? = nil
    ) {
        self.history = history
        var options = VirtualTree.Options(version: "test 1")
        options.denials = denials
        tree = VirtualTree(
            history: history, content: history, options: options, journal: journal, accesses: accesses)
    }

    /// `nil` when a component is absent. Symlinks are not followed.
    func find(_ path: ReferenceFileSystem.Path, from start: NodeID = .root) throws -> Attributes? {
        var attributes = try tree.attributes(of: start)
        for name in path {
            guard case .found(let next, _) = try tree.lookup(name, in: attributes.id) else { return nil }
            attributes = next
        }
        return attributes
    }

    func find(_ path: String) throws -> Attributes? { try find(path.split(separator: "/").map { Array($0.utf8) }) }

    func names(_ id: NodeID, after cookie: UInt64 = 0, limit: Int = .max) throws -> [Listed] {
        var out = [Listed]()
        try tree.list(id, after: cookie) { listed in
            guard out.count < limit else { return false }
            out.append(listed)
            return true
        }
        return out
    }

    /// Names without dots, as text.
    func list(_ path: String) throws -> [String] {
        guard let found = try find(path) else { return ["(absent)"] }
        return try names(found.id).map { String(decoding: $0.name, as: UTF8.self) }.filter { $0 != "." && $0 != ".." }
            .sorted()
    }

    func read(_ id: NodeID, at offset: UInt64 = 0, count: Int = 1 << 20) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
        defer { buffer.deallocate() }
        let done = try tree.read(id, at: offset, into: buffer)
        return Array(buffer[..<done])
    }

    func text(_ path: String) throws -> String? {
        try find(path).map { String(decoding: try read($0.id), as: UTF8.self) }
    }

    func target(_ path: String) throws -> String? {
        try find(path).map { String(decoding: try tree.target(of: $0.id), as: UTF8.self) }
    }
}
