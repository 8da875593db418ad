import DFSModel
import DFSTestSupport
import DFSVirtual
import Testing

/// The tree against a dictionary of paths.
struct ReferenceTests {
    /// Compares one item of a version with the model, by name, by id and by listing.
    private func check(
        _ walker: TreeWalker, _ files: ReferenceFileSystem, _ path: ReferenceFileSystem.Path, root: NodeID,
        _ generator: inout SeededGenerator
    ) throws {
        let item = try #require(files.items[path])
        let found = try #require(try walker.find(path, from: root))
        #expect(try walker.tree.attributes(of: found.id) == found)
        #expect(found.modified == item.modified)
        switch item.body {
        case .file(let bytes):
            #expect(found.kind == .file && found.mode == item.mode && found.size == UInt64(bytes.count))
            let offset = Int.random(in: 0...bytes.count + 10, using: &generator)
            let count = Int.random(in: 0...5000, using: &generator)
            let expected = Array(bytes.dropFirst(offset).prefix(count))
            #expect(try walker.read(found.id, at: UInt64(offset), count: count) == expected)
        case .symlink(let target):
            #expect(found.kind == .symlink && found.size == UInt64(target.count))
            #expect(try walker.tree.target(of: found.id) == target)
        case .directory:
            #expect(found.kind == .directory && found.mode == item.mode)
            try checkListing(walker, files, path, found.id, &generator)
        }
    }

    /// A listing in pieces of random length is the model's list of names, with the ids that lookups give.
    private func checkListing(
        _ walker: TreeWalker, _ files: ReferenceFileSystem, _ path: ReferenceFileSystem.Path, _ id: NodeID,
        _ generator: inout SeededGenerator
    ) throws {
        var all = [Listed]()
        while true {
            let limit = Int.random(in: 1...(files.children(of: path).count > 100 ? 700 : 5), using: &generator)
            let part = try walker.names(id, after: all.last?.next ?? 0, limit: limit)
            if part.isEmpty { break }
            all += part
        }
        #expect(all.prefix(2).map(\.name) == [[0x2e], [0x2e, 0x2e]])
        #expect(all[0].attributes.inode == id.raw)
        #expect(all.dropFirst(2).map(\.name) == files.children(of: path))
        let picks = all.dropFirst(2).shuffled(using: &generator).prefix(5)
        for listed in picks {
            guard case .found(let attributes, _) = try walker.tree.lookup(listed.name, in: id) else {
                Issue.record("a listed name cannot be looked up")
                continue
            }
            #expect(attributes == listed.attributes)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func randomOperations(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let walker = TreeWalker()
        var versions = [ReferenceFileSystem]()
        var paths = [[ReferenceFileSystem.Path]]()
        var known = [String: NodeID]()
        for _ in 0..<600 {
            if versions.isEmpty || Int.random(in: 0..<100, using: &generator) == 0 {
                let files = ReferenceFileSystem.random(Int.random(in: 0...300, using: &generator), &generator)
                #expect(walker.history.commit(files, to: "team/faces") == versions.count + 1)
                versions.append(files)
                paths.append(files.paths.sorted { "\($0)" < "\($1)" })
                continue
            }
            let number = Int.random(in: 1...versions.count, using: &generator)
            let files = versions[number - 1]
            let root = try #require(try walker.find("datasets/team/faces/v\(number)"))
            let path = try #require(paths[number - 1].randomElement(using: &generator))
            try check(walker, files, path, root: root.id, &generator)
            // A path under an immutable id keeps its id, whatever is committed.
            let id = try #require(try walker.find(path, from: root.id)).id
            #expect(known.updateValue(id, forKey: "\(number) \(path)") ?? id == id)
            guard case .directory = files.items[path]?.body else { continue }
            let absent = path + [Array("absent\(generator.next())".utf8)]
            #expect(try walker.find(absent, from: root.id) == nil)
        }
        #expect(Set(known.values).count == known.count, "two paths share an id")
    }

    @Test func everyItemOfALargeDirectory() throws {
        var generator = SeededGenerator(seed: 42)
        var files = ReferenceFileSystem()
        for i in 0..<10_000 {
            let body: ReferenceFileSystem.Item.Body = i % 100 == 0 ? .directory : .file(Array("\(i)".utf8))
            files.add([Array("file-\(i)".utf8)], .init(body, mode: 0o755))
        }
        for name in ReferenceFileSystem.oddNames { files.add([name], .init(.file(name))) }
        let walker = TreeWalker()
        walker.history.commit(files, to: "big")
        let root = try #require(try walker.find("datasets/big/v1")).id
        let listed = try walker.names(root).dropFirst(2)
        #expect(listed.map(\.name) == files.children(of: []))
        #expect(Set(listed.map(\.attributes.inode)).count == listed.count)
        for (i, entry) in listed.enumerated() {
            guard case .found(let attributes, .immutable) = try walker.tree.lookup(entry.name, in: root) else {
                Issue.record("\(entry.name) is lost")
                continue
            }
            #expect(attributes == entry.attributes)
            if i % 97 == 0 {
                #expect(try walker.tree.attributes(of: attributes.id) == attributes)
                #expect(
                    try walker.names(root, after: entry.next, limit: 3).map(\.name)
                        == listed.dropFirst(i + 1).prefix(3).map(\.name))
            }
        }
        try check(walker, files, [], root: root, &generator)
        // Names between, before and behind the leaves' first names.
        for name in ["", "a", "file-", "file-5000x", "zzzz"] {
            guard case .absent = try walker.tree.lookup(Array(name.utf8), in: root) else {
                Issue.record("\(name) was found")
                continue
            }
        }
    }

    /// A directory falls out of the cache of directories and is found again under its number.
    @Test func manyDirectoriesKeepTheirNumbers() throws {
        var files = ReferenceFileSystem()
        for i in 0..<20_000 { files.add([Array("d\(i)".utf8), Array("f".utf8)], .init(.file([1]))) }
        let walker = TreeWalker()
        walker.history.commit(files, to: "wide")
        let root = try #require(try walker.find("datasets/wide/v1")).id
        let first = try walker.names(root).dropFirst(2).map(\.attributes.id)
        for id in first { #expect(try walker.names(id).count == 3) }
        #expect(try walker.names(root).dropFirst(2).map(\.attributes.id) == first)
        let file = try #require(try walker.find([Array("f".utf8)], from: first[0]))
        #expect(try walker.read(file.id) == [1])
    }

    @Test func deepDirectories() throws {
        var files = ReferenceFileSystem()
        let path = (0..<3000).map { _ in Array("d".utf8) }
        files.add(path + [Array("f".utf8)], .init(.file([7])))
        let walker = TreeWalker()
        walker.history.commit(files, to: "deep")
        let root = try #require(try walker.find("datasets/deep/v1"))
        let file = try #require(try walker.find(path + [Array("f".utf8)], from: root.id))
        #expect(try walker.read(file.id) == [7])
    }
}
