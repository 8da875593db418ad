import DFSModel
import DFSStore
import DFSTestSupport
import DFSVirtual
import Testing

/// The names that the tree makes up.
struct NamespaceTests {
    private func files(_ text: String) -> ReferenceFileSystem {
        var files = ReferenceFileSystem()
        files.add("dir/file", .file(Array(text.utf8)))
        return files
    }

    @Test func datasets() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "faces")
        walker.history.commit(files("a"), to: "team/cats")
        walker.history.commit(files("b"), to: "team/dogs")
        #expect(try walker.list("") == ["code", "datasets", "runs"])
        #expect(try walker.list("datasets") == ["faces", "team"])
        #expect(try walker.list("datasets/team") == ["cats", "dogs"])
        #expect(try walker.list("datasets/faces") == ["at", "latest", "tags", "v1"])
        #expect(try walker.text("datasets/team/dogs/v1/dir/file") == "b")
        #expect(try walker.target("datasets/faces/latest") == "v1")
        for name in ["v0", "v2", "v01", "v1x", "v-1", "v+1", "v99999999999999999999", "team/cats", "V1", ""] {
            #expect(try walker.find([Array("datasets".utf8), Array("faces".utf8), Array(name.utf8)]) == nil)
        }
        #expect(try walker.find("datasets/tea") == nil)
        #expect(try walker.find([[0x64, 0xff]]) == nil)
    }

    @Test func movingNamesAreLinksWithNewIds() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "faces")
        walker.history.tag("best", "faces", 1)
        let before = try #require(try walker.find("datasets/faces/latest"))
        let tagBefore = try #require(try walker.find("datasets/faces/tags/best"))
        walker.history.commit(files("two"), to: "faces")
        let after = try #require(try walker.find("datasets/faces/latest"))
        #expect(before.id != after.id)
        // The old one still leads where it led: a kernel may keep it.
        #expect(try walker.tree.target(of: before.id) == Array("v1".utf8))
        #expect(try walker.target("datasets/faces/latest") == "v2")
        #expect(try walker.target("datasets/faces/tags/best") == "../v1")
        walker.history.tag("best", "faces", 2)
        #expect(try walker.target("datasets/faces/tags/best") == "../v2")
        #expect(try walker.tree.target(of: tagBefore.id) == Array("../v1".utf8))
        #expect(try walker.list("datasets/faces/tags") == ["best"])
        guard
            case .found(_, .brief) = try walker.tree.lookup(
                Array("latest".utf8), in: try #require(try walker.find("datasets/faces")).id)
        else {
            Issue.record("latest may be kept")
            return
        }
    }

    @Test func timesAndDigestsAreLookedUp() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "faces")
        walker.history.commit(files("two"), to: "faces")
        #expect(try walker.target("datasets/faces/at/1") == "../v1")
        #expect(try walker.target("datasets/faces/at/7") == "../v2")
        #expect(try walker.find("datasets/faces/at/0") == nil)
        #expect(try walker.find("datasets/faces/at/nonsense") == nil)
        #expect(try walker.list("datasets/faces/at") == [])
        // All times that mean one version share one id.
        #expect(try walker.find("datasets/faces/at/3")?.id == walker.find("datasets/faces/at/4")?.id)
        let digest = try walker.history.version(1, of: "faces").root.content.digest.hex
        #expect(try walker.target("datasets/faces/@\(digest.prefix(8))") == "v1")
        #expect(try walker.target("datasets/faces/@\(digest)") == "v1")
        #expect(try walker.target("datasets/faces/@sha256:\(digest.prefix(10))") == "v1")
        #expect(try walker.find("datasets/faces/@\(digest.prefix(7))") == nil)
        #expect(try walker.find("datasets/faces/@ABCDEF0123") == nil)
    }

    @Test func code() throws {
        let walker = TreeWalker()
        walker.history.capture(files("a"), "train", id: "s1")
        walker.history.capture(files("b"), "train", id: "s2")
        #expect(try walker.list("code") == ["train"])
        #expect(try walker.list("code/train") == ["at", "latest", "s1", "s2"])
        #expect(try walker.text("code/train/s1/dir/file") == "a")
        #expect(try walker.target("code/train/latest") == "s2")
        #expect(try walker.target("code/train/at/1") == "../s1")
        #expect(try walker.find("code/other") == nil)
        #expect(try walker.find("code/train/s3") == nil)
    }

    @Test func extendedAttributes() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "team/faces")
        let root = try walker.history.version(1, of: "team/faces").root
        let directory = try #require(try walker.find("datasets/team/faces/v1"))
        let found = try walker.tree.extendedAttributes(of: directory.id)
        #expect(found.map(\.name) == ["user.dfs.digest", "user.dfs.dataset", "user.dfs.version"])
        #expect(found.map(\.value) == [root.content.digest.text, "team/faces", "v1"])
        let file = try #require(try walker.find("datasets/team/faces/v1/dir/file"))
        let attributes = try walker.tree.extendedAttributes(of: file.id)
        #expect(attributes.first?.name == "user.dfs.sha256")
        #expect(attributes.first?.value == FakeHistory.digest(Array("one".utf8)).hex)
        #expect(try walker.tree.extendedAttributes(of: .root).isEmpty)
    }

    @Test func control() throws {
        let walker = TreeWalker()
        #expect(try walker.text(".dfs/health") == "ok\n")
        walker.history.fail(with: DFSError(.operational, "cannot read the ledger", cause: "no network"))
        #expect(try walker.text(".dfs/health") == "error: cannot read the ledger: no network\n")
        walker.history.fail(with: nil)
        #expect(try walker.text(".dfs/version") == "test 1\n")
        walker.tree.statistics.count(.lookup)
        let stats = try #require(try walker.text(".dfs/stats"))
        let json = try JSONValue.parse(Array(stats.utf8))
        #expect(json["schema"]?.string == "dfs.stats/1")
        #expect(json["operations"]?["LOOKUP"]?.integer == 1)
        #expect(json["requests"]?.integer == 1)
        // One reader sees one state, also in pieces and while others count.
        let first = try #require(try walker.find(".dfs/stats"))
        let begin = try walker.read(first.id, count: 10)
        walker.tree.statistics.count(.lookup)
        _ = try walker.find(".dfs/stats")
        let rest = try walker.read(first.id, at: 10)
        #expect(UInt64((begin + rest).count) == first.size)
        #expect((try JSONValue.parse(begin + rest))["requests"]?.integer == 1)
    }

    @Test func listingsSurviveChanges() throws {
        let walker = TreeWalker()
        for i in 0..<50 { walker.history.commit(files("x"), to: "d\(i)") }
        let datasets = try #require(try walker.find("datasets")).id
        let half = try walker.names(datasets, limit: 20)
        for i in 0..<50 { walker.history.commit(files("x"), to: "a\(i)") }
        let rest = try walker.names(datasets, after: half.last?.next ?? 0)
        let names = (half + rest).map { String(decoding: $0.name, as: UTF8.self) }
        #expect(Set(names).count == names.count, "a name came twice")
        #expect(Set(names).isSuperset(of: (0..<50).map { "d\($0)" }))
    }

    @Test func changesAreAnnounced() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "faces")
        _ = try walker.tree.changedDirectories()
        let datasets = try #require(try walker.find("datasets"))
        let faces = try #require(try walker.find("datasets/faces"))
        let version = try #require(try walker.find("datasets/faces/v1"))
        #expect(datasets.lifetime == .watched && version.lifetime == .immutable)
        #expect(try walker.tree.changedDirectories() == [])
        walker.history.commit(files("two"), to: "faces")
        let changed = Set(try walker.tree.changedDirectories())
        #expect(changed.isSuperset(of: [datasets.id, faces.id]) && !changed.contains(version.id))
        #expect(try walker.tree.changedDirectories() == [])
        // Times tell the states apart although the ledger's times are equal.
        #expect(try walker.find("datasets")?.modified != datasets.modified)
        #expect(try walker.find("datasets/faces")?.modified != faces.modified)
    }

    @Test func troubleIsNotAbsence() throws {
        let walker = TreeWalker()
        walker.history.commit(files("one"), to: "faces")
        walker.history.fail(with: DFSError(.operational, "the store cannot be reached"))
        #expect(throws: DFSError.self) { try walker.find("datasets/faces") }
        #expect(throws: DFSError.self) { try walker.list("datasets") }
        walker.history.fail(with: nil)
        let root = try walker.history.version(1, of: "faces").root
        let address = try #require(root.address)
        walker.history.damage(address)
        #expect(throws: DFSError.self) { try walker.find("datasets/faces/v1/dir") }
        walker.history.damage(address, false)
        #expect(try walker.text("datasets/faces/v1/dir/file") == "one")
    }

    @Test func idsThatNobodyGaveOut() throws {
        let walker = TreeWalker()
        var generator = SeededGenerator(seed: 9)
        walker.history.commit(ReferenceFileSystem.random(50, &generator), to: "faces")
        _ = try walker.list("datasets/faces/v1")
        for i in 0..<20_000 {
            let raw: UInt64 =
                switch i % 4 {
                case 0: generator.next()
                case 1: generator.next() >> 32
                case 2: UInt64.random(in: 0..<20, using: &generator) << 32 | generator.next() >> 32
                default:
                    UInt64.random(in: 0..<20, using: &generator) << 32 | UInt64.random(in: 0..<80, using: &generator)
                }
            let id = NodeID(raw: raw)
            _ = try? walker.tree.attributes(of: id)
            _ = try? walker.tree.lookup(generator.bytes(3), in: id)
            _ = try? walker.read(id, at: generator.next(), count: 100)
            _ = try? walker.tree.target(of: id)
            _ = try? walker.names(id, after: generator.next())
            _ = try? walker.tree.extendedAttributes(of: id)
            walker.tree.forget(id, lookups: generator.next())
        }
        #expect(try walker.list("datasets/faces") == ["at", "latest", "tags", "v1"])
    }

    /// Nodes that are well formed each but do not fit together.
    @Test func nodesThatDoNotFit() throws {
        var large = ReferenceFileSystem()
        for i in 0..<3000 { large.add("f\(i)", .file([])) }
        let walker = TreeWalker()
        walker.history.commit(large, to: "large")
        let address = try #require(try walker.history.version(1, of: "large").root.address)
        let root = try walker.history.node(address)
        #expect(root.level == 1)
        let second = root.child(1).address
        let other = try walker.history.node(root.child(0).address)
        walker.history.replaceNode(second, by: other)
        #expect(throws: DFSError.self) { try walker.list("datasets/large/v1") }
        // A node that is its own child.
        walker.history.replaceNode(second, by: root)
        #expect(throws: DFSError.self) { try walker.list("datasets/large/v1") }
    }
}
