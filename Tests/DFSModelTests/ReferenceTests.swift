import DFSModel
import Testing

@Suite struct ReferenceTests {
    private let known: Set<String> = ["faces", "team/faces", "other/set"]

    private func parse(_ text: String) throws -> Reference { try Reference.parse(text, knownDataset: known.contains) }

    private func faces(_ selector: Reference.Selector, _ path: String...) -> Reference {
        .dataset(name: "faces", selector: selector, path: path.map { Array($0.utf8) })
    }

    @Test func everySelectorOfADataset() throws {
        let digest = String(repeating: "ab", count: 32)
        let cases: [(String, Reference.Selector)] = [
            ("faces", .latest), ("faces@latest", .latest), ("faces@latest~0", .latest),
            ("faces@latest~1", .latest(back: 1)), ("faces@v3", .version(3)), ("faces@v120", .version(120)),
            ("faces@best", .tag("best")), ("faces@v3.1", .tag("v3.1")), ("faces@release-1_0", .tag("release-1_0")),
            ("faces@v", .tag("v")), ("faces@abcdef1", .tag("abcdef1")), ("faces@2d-old", .tag("2d-old")),
            ("faces@2026-11-01", .time("2026-11-01")), ("faces@yesterday", .time("yesterday")),
            ("faces@2026-11-01T12:00:00+02:00", .time("2026-11-01T12:00:00+02:00")),
            ("faces@2026-11-01T120000Z", .time("2026-11-01T120000Z")), ("faces@2d", .time("2d")),
            ("faces@sha256:ab12cd34", .digest(prefix: "ab12cd34")),
            ("faces@sha256:AB12CD34", .digest(prefix: "ab12cd34")),
            ("faces@sha256:" + digest, .digest(prefix: digest)), ("faces@ab12cd34", .digest(prefix: "ab12cd34")),
            ("faces@1234567d", .digest(prefix: "1234567d")), ("faces@view:train", .view("train")),
        ]
        for (text, selector) in cases {
            #expect(try parse(text) == faces(selector), "\(text)")
            #expect(try parse(text + "/a/b") == faces(selector, "a", "b"), "\(text)")
            #expect(try parse("dfs://" + text) == faces(selector), "\(text)")
        }
    }

    @Test func theLongestDatasetNameWins() throws {
        let team = { Reference.dataset(name: "team/faces", selector: $0, path: $1) }
        #expect(try parse("team/faces") == team(.latest, []))
        #expect(try parse("team/faces/x") == team(.latest, [[0x78]]))
        #expect(try parse("team/faces@v2/x") == team(.version(2), [[0x78]]))
        #expect(try parse("faces/train/img") == faces(.latest, "train", "img"))
        #expect(try parse("faces/train") == faces(.latest, "train"))
    }

    @Test func anAtSignInAPathIsPartOfIt() throws {
        #expect(try parse("faces/a@b") == faces(.latest, "a@b"))
        #expect(try parse("faces@v3/a@b/c@d") == faces(.version(3), "a@b", "c@d"))
        #expect(try parse("faces/a/b@v3") == faces(.latest, "a", "b@v3"))
        #expect(
            try parse("team/faces/@v3") == .dataset(name: "team/faces", selector: .latest, path: [Array("@v3".utf8)]))
    }

    @Test func unknownNamesAreReadByShape() throws {
        #expect(try parse("cats") == .dataset(name: "cats", selector: .latest, path: []))
        #expect(try parse("pets/cats") == .dataset(name: "pets/cats", selector: .latest, path: []))
        #expect(try parse("pets/cats@v1/x") == .dataset(name: "pets/cats", selector: .version(1), path: [[0x78]]))
        #expect(try parse("cats@v1/a/b") == .dataset(name: "cats", selector: .version(1), path: [[0x61], [0x62]]))
        #expect(try parse("cats/a/b") == .dataset(name: "cats/a", selector: .latest, path: [[0x62]]))
    }

    @Test func pathsAreBytesAndNotDecoded() throws {
        #expect(try parse("faces/100%25/é") == faces(.latest, "100%25", "é"))
        #expect(try parse("faces//a/./b/") == faces(.latest, "a", "b"))
        let twins = [try parse("faces/\u{e9}"), try parse("faces/e\u{301}")]
        #expect(twins[0].path != twins[1].path)
        let raw = Array("faces@v1/a".utf8) + [0xff, 0x0a]
        let reference = try Reference.parse(raw, knownDataset: known.contains)
        #expect(reference.path == [[0x61, 0xff, 0x0a]])
        #expect(reference.bytes == raw)
        #expect(reference.description == "faces@v1/a\\xff\\x0a")
    }

    @Test func runs() throws {
        let id = "0193a5c0-1111-7222-8333-444455556666"
        #expect(try parse("run:\(id)") == .run(id: id, path: []))
        #expect(
            try parse("run:calm-otter/outputs/model@1")
                == .run(id: "calm-otter", path: [Array("outputs".utf8), Array("model@1".utf8)]))
        #expect(
            try parse("dfs://run:latest/logs/stdout")
                == .run(id: "latest", path: [Array("logs".utf8), Array("stdout".utf8)]))
    }

    @Test func codeSnapshots() throws {
        let cases: [(String, Reference.Selector)] = [
            ("code:trainer", .latest), ("code:trainer@latest", .latest), ("code:trainer@latest~2", .latest(back: 2)),
            ("code:trainer@2d", .time("2d")), ("code:trainer@2026-11-01", .time("2026-11-01")),
            ("code:trainer@0193a5c0-1111", .snapshot("0193a5c0-1111")), ("code:trainer@ab12cd", .snapshot("ab12cd")),
            ("code:trainer@sha256:ab12cd34", .digest(prefix: "ab12cd34")),
        ]
        for (text, selector) in cases {
            #expect(
                try parse(text + "/src") == .code(project: "trainer", selector: selector, path: [Array("src".utf8)]),
                "\(text)")
        }
        #expect(try parse("code:my project@2d") == .code(project: "my project", selector: .time("2d"), path: []))
    }

    @Test(arguments: [
        "", "/", "dfs://", "@v3", "faces@", "faces@/x", ".faces", "-faces", "./data", "../faces", "/deepops/datasets",
        "fa ces",
        "faces@v0", "faces@v03", "faces@v99999999999999999999", "faces@latest~", "faces@latest~x", "faces@latest~-1",
        "faces@v3~1", "faces@best~1", "faces@sha256:", "faces@sha256:ab12cd3", "faces@sha256:xyz12345", "faces@view:",
        "faces@view:-x", "faces@a b", "faces@sha512:ab12cd34", "faces@-x", "faces/../x", "faces/..", "faces/a/..",
        "run:", "run:/outputs", "run:Calm", "run:calm_otter", "run:calm@v3", "code:", "code:@latest", "code:t@",
        "code:t@best", "code:t@ab1", "fäces", "faces/a\u{0}b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: DFSError.self) { try parse(text) }
        #expect(error?.code == .usage, "\(text)")
        #expect(error?.cause != nil && error?.hint != nil)
    }

    @Test func aDigestIsNoLongerThanADigest() {
        #expect(throws: DFSError.self) { try parse("faces@" + String(repeating: "a", count: 65)) }
        #expect(throws: DFSError.self) { try parse("faces@sha256:" + String(repeating: "a", count: 65)) }
    }

    /// Every text that names something that may exist prints a canonical text that is read as the same reference.
    @Test func canonicalTextGoesRound() throws {
        var generator = SeededGenerator(seed: 7)
        let words = [
            "faces", "team", "other", "set", "cats", "@", "@", "/", "/", "v3", "latest", "~1", "2d", "sha256:",
            "ab12cd34",
            "view:", "run:", "code:", "2026-11-01", "dfs://", "x y", "é", "%25", ".", "-", "T12:00:00Z",
        ]
        var readings = 0
        for _ in 0..<50_000 {
            let count = Int.random(in: 1...7, using: &generator)
            let text = (0..<count).map { _ in words.randomElement(using: &generator) ?? "" }.joined()
            guard let reference = try? parse(text) else { continue }
            if case .dataset(let name, _, _) = reference, !known.contains(name) { continue }
            readings += 1
            #expect(try Reference.parse(reference.bytes, knownDataset: known.contains) == reference, "\(text)")
        }
        #expect(readings > 1000)
    }

    @Test func canonicalForms() throws {
        #expect(try parse("dfs://faces@latest/a//b/").description == "faces/a/b")
        #expect(try parse("faces@AB12CD34").description == "faces@sha256:ab12cd34")
        #expect(try parse("faces@latest~1").description == "faces@latest~1")
        #expect(try parse("code:t@latest").description == "code:t")
        #expect(try parse("faces@v3/x").with(path: []).description == "faces@v3")
    }
}
