import DFSChunking
import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

@Suite struct DiffTests {
    private let test: TestRepository

    init() throws { test = try TestRepository() }

    private func commit() throws -> TreeEntry { test.root(try test.commit("d", test.directory.sub("s")).version) }

    private func write(_ files: [String: String]) throws {
        for (name, text) in files { try test.directory.write("s/\(name)", text) }
    }

    private func remove(_ names: String...) throws {
        for name in names { try Files.removeTree(test.directory.sub("s/\(name)")) }
    }

    private func changes(_ a: TreeEntry, _ b: TreeEntry, renames: Bool = true) throws -> [String] {
        var found = [String]()
        let diff = TreeDiff(reader: test.repository.reader)
        let add: (TreeChange) -> Void = {
            let from = $0.from.map { NameText.display($0) + " -> " } ?? ""
            found.append("\($0.kind.rawValue) \(from)\(NameText.display($0.path))")
        }
        if renames { try diff.changesWithRenames(from: a, to: b, add) } else { try diff.changes(from: a, to: b, add) }
        return found
    }

    @Test func whatMovedIsRenamed() throws {
        try write(["a": "one", "b": "two", "dir/x": "x", "dir/deep/y": "y", "stays": "s", "changed": "1"])
        let old = try commit()
        try remove("a", "dir")
        try write(["c": "one", "other/x": "x", "other/deep/y": "y", "changed": "2", "new": "n"])
        let new = try commit()
        #expect(try changes(old, new) == ["renamed a -> c", "modified changed", "added new", "renamed dir -> other"])
        #expect(try changes(new, old) == ["renamed c -> a", "modified changed", "renamed other -> dir", "removed new"])
        #expect(
            try changes(old, new, renames: false) == [
                "removed a", "added c", "modified changed", "removed dir", "removed dir/deep", "removed dir/deep/y",
                "removed dir/x", "added new", "added other", "added other/deep", "added other/deep/y", "added other/x",
            ])
    }

    /// Equal content is paired by last name, then in order; empty files by last name only.
    @Test func ambiguousRenamesAreDeterministic() throws {
        try write(["1": "same", "2": "same", "3": "same", "e1": "", "e2": "", "d/inner/f": "f", "d/g": "g"])
        let old = try commit()
        try remove("1", "2", "3", "e1", "e2", "d")
        try write(["n/b": "same", "n/2": "same", "n/a": "same", "n/e2": "", "n/e3": "", "n/inner/f": "f", "z/g": "g"])
        let new = try commit()
        #expect(
            try changes(old, new) == [
                "removed d", "removed e1", "added n", "renamed 2 -> n/2", "renamed 1 -> n/a", "renamed 3 -> n/b",
                "renamed e2 -> n/e2", "added n/e3", "renamed d/inner -> n/inner", "added z", "renamed d/g -> z/g",
            ])
    }

    /// A whole directory is one rename only when nothing of it went elsewhere; every path is told of once.
    @Test func renamesNeverOverlap() throws {
        var random = SeededGenerator(seed: 11)
        for round in 0..<20 {
            try? Files.removeTree(test.directory.sub("s"))
            var sides = [TreeEntry]()
            for _ in 0..<2 {
                try? Files.removeTree(test.directory.sub("s"))
                try write(["keep": "\(round)"])
                for _ in 0..<12 {
                    let depth = Int.random(in: 1...3, using: &random)
                    let path = (0..<depth).map { _ in "d\(Int.random(in: 0...2, using: &random))" }
                    try write([
                        (path + ["f\(Int.random(in: 0...3, using: &random))"]).joined(separator: "/"):
                            String(Int.random(in: 0...4, using: &random))
                    ])
                }
                let options = CaptureOptions()
                var commit = Commit(
                    repository: test.repository, dataset: "d", source: test.directory.sub("s"), options: options)
                commit.allowShrink = true
                sides.append(test.root(try commit.run(by: test.signer).version))
            }
            #expect(try applied(sides[0], sides[1]) == files(sides[1]))
        }
    }

    private func files(_ root: TreeEntry) throws -> [String: ContentDigest] {
        var out = [String: ContentDigest]()
        try test.repository.reader.walk(root) { path, entry in
            out[NameText.display(path)] = entry.kind == .file ? entry.content : ContentDigest(.zero)
        }
        return out
    }

    /// What the changes make of `old`.
    private func applied(_ old: TreeEntry, _ new: TreeEntry) throws -> [String: ContentDigest] {
        var out = try files(old)
        let before = out, wanted = try files(new)
        try TreeDiff(reader: test.repository.reader).changesWithRenames(from: old, to: new) { change in
            let path = NameText.display(change.path)
            switch change.kind {
            case .removed: #expect(out.removeValue(forKey: path) != nil)
            case .added, .modified:
                let entry = change.after
                out[path] = entry?.kind == .file ? entry?.content : ContentDigest(.zero)
            case .renamed:
                let from = NameText.display(change.from ?? [])
                for (name, content) in before where name == from || name.hasPrefix(from + "/") {
                    #expect(before[name] == content)
                    // Something else may have come to the old place meanwhile.
                    if wanted[name] == nil { out[name] = nil }
                    out[path + name.dropFirst(from.count)] = content
                }
            }
        }
        return out
    }

    /// One change in a directory of many nodes: found, and all other nodes may be missing.
    @Test func sharedNodesAreNotRead() throws {
        let entries = (0..<20000).map { number in
            TreeEntry(
                name: Array("f\(100000 + number)".utf8), kind: .file, mode: 0o644,
                modified: Timestamp(seconds: 1, nanoseconds: 0), size: 0, content: ContentDigest(Digest.of([])))
        }
        var changed = entries
        changed[12345].mode = 0o755
        changed.remove(at: 3000)
        let writer = StoreWriter(store: test.repository.objects)
        var nodes = [[ObjectAddress]]()
        var roots = [TreeEntry]()
        for list in [entries, changed] {
            var own = [ObjectAddress]()
            let address = try TreeBuilder.build(list) { node throws(DFSError) in
                own.append(ObjectAddress(Digest.of(node.bytes)))
                return try writer.put(node.bytes)
            }
            nodes.append(own)
            let summary = TreeReference(
                content: ContentDigest.ofDirectory(list), tree: address, files: UInt64(list.count), bytes: 0)
            roots.append(.root(summary, modified: Timestamp(seconds: 1, nanoseconds: 0)))
        }
        let tables = try writer.finish(base: nil).tables
        try test.repository.objects.learn(tables: tables)
        let shared = Set(nodes[0]).intersection(nodes[1])
        #expect(shared.count > 30)
        let reader = TreeReader(store: test.repository.objects)
        var found = [String]()
        try TreeDiff(reader: reader).changesWithRenames(from: roots[0], to: roots[1]) {
            found.append("\($0.kind.rawValue) \(NameText.display($0.path))")
        }
        #expect(found == ["removed f103000", "modified f112345"])
        #expect(shared.allSatisfy { !reader.holds($0) })
        #expect(!Set(nodes[0]).subtracting(shared).isEmpty)
    }

    @Test func aPathIsFollowedThroughVersions() throws {
        var trees = [ObjectAddress]()
        func next() throws { trees.append(try #require(try commit().address)) }
        try write(["sub/a": "1", "sub/b": "1"])
        try next()
        try write(["sub/b": "2"])
        try next()
        try write(["sub/a": "2"])
        try next()
        try remove("sub/a")
        try next()
        var history = PathHistory(reader: test.repository.reader, path: [Array("sub".utf8), Array("a".utf8)])
        let found = try trees.map { tree in try history.entry(in: tree)?.content.digest }
        #expect(found == [Digest.of(Array("1".utf8)), Digest.of(Array("1".utf8)), Digest.of(Array("2".utf8)), nil])
        var whole = PathHistory(reader: test.repository.reader, path: [Array("sub".utf8)])
        #expect(Set(try trees.map { tree in try whole.entry(in: tree)?.content.digest }).count == 4)
    }
}
