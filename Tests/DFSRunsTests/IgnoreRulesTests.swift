import DFSModel
import DFSRuns
import DFSSystem
import Testing

@Suite struct IgnoreRulesTests {
    private func components(_ path: String) -> [[UInt8]] { path.split(separator: "/").map { Array($0.utf8) } }

    private func isIgnored(_ rules: String, _ path: String) -> Bool {
        let stack = IgnoreStack([IgnoreRules(Array(rules.utf8))])
        return stack.isIgnored(path: components(path), isDirectory: path.hasSuffix("/"))
    }

    @Test(arguments: [
        ("*.o", "a.o", true), ("*.o", "x/y/a.o", true), ("*.o", "a.oo", false), ("/a", "a", true), ("/a", "b/a", false),
        ("a/", "a", false), ("a/", "a/", true), ("a/", "a/b", true), ("a/b", "a/b", true), ("a/b", "x/a/b", false),
        ("**/a/b", "x/y/a/b", true), ("a/**", "a", false), ("a/**", "a/x/y", true), ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true), ("a/*/b", "a/x/y/b", false), ("# a", "# a", false), ("\\#a", "#a", true),
        ("\\!a", "!a", true), ("a\n!a", "a", false), ("!a\na", "a", true), ("a  ", "a", true), ("a\\ ", "a ", true),
        ("a\r\nb", "a", true), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("[^a-c]x", "dx", true),
        ("[]x]", "]", true), ("[[:digit:]]", "7", true), ("[[:nonsense:]]", "7", false), ("a?c", "abc", true),
        ("a?c", "a/c", false), ("d/\n!d/keep", "d/keep", true), ("d/*\n!d/keep", "d/keep", false),
        ("\u{feff}a", "a", true), ("", "a", false), ("/", "a", false), ("foo\\", "foo", false), ("[a", "[a", false),
    ])
    func knownCases(rules: String, path: String, expected: Bool) {
        #expect(isIgnored(rules, path) == expected)
    }

    @Test func deeperFilesWin() {
        var stack = IgnoreStack([IgnoreRules(Array("*.csv\n/top\n".utf8))])
        stack.push(Array("sub".utf8), [IgnoreRules(Array("!keep.csv\n/top\n".utf8))])
        #expect(stack.decision(Array("keep.csv".utf8), isDirectory: false) == .included)
        #expect(stack.decision(Array("other.csv".utf8), isDirectory: false) == .ignored)
        #expect(stack.isIgnored(Array("top".utf8), isDirectory: false))
        stack.push(Array("deep".utf8))
        #expect(!stack.isIgnored(Array("top".utf8), isDirectory: false))
        stack.pop()
        stack.pop()
        #expect(stack.isIgnored(Array("keep.csv".utf8), isDirectory: false))
        #expect(stack.decision(Array("readme".utf8), isDirectory: false) == .none)
    }

    @Test func namesAreBytes() {
        let stack = IgnoreStack([IgnoreRules([0x61, 0xff, 0x2a, 0x0a] + Array("e\u{301}\n".utf8))])
        #expect(stack.isIgnored([0x61, 0xff, 0xfe], isDirectory: false))
        #expect(!stack.isIgnored([0x61, 0xfe, 0xff], isDirectory: false))
        #expect(stack.isIgnored(Array("e\u{301}".utf8), isDirectory: false))
        #expect(!stack.isIgnored(Array("\u{e9}".utf8), isDirectory: false))
    }

    /// A pattern that makes a careless matcher take for ever.
    @Test func manyStarsAreNoTrap() {
        let pattern = String(repeating: "*a", count: 24) + "*b"
        #expect(!isIgnored(pattern, String(repeating: "a", count: 200)))
        #expect(
            !isIgnored("x/" + String(repeating: "**/a*/", count: 8) + "b", "x/" + String(repeating: "aa/", count: 24)))
    }

    // MARK: against git

    private struct Generator {
        var state: UInt64

        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }

        mutating func pick<T>(_ list: [T]) -> T { list[next(list.count)] }

        mutating func pattern() -> [UInt8] {
            let pieces = [
                "a", "b", "ab", "c", "*", "?", "**", "/", "/", "[ab]", "[!a]", "[a-c]", "[[:alpha:]]", "\\a", "\\*",
                ".x",
                "é", "-", "]", "[", "\\", " ", "**/", "/**", "/**/", "***", "[]-a]", "\u{1}", "[a-", "[\\]]",
                "[[:digit:]b]",
            ]
            var out = [UInt8]()
            if next(6) == 0 { out += Array("!".utf8) }
            if next(5) == 0 { out += Array("/".utf8) }
            for _ in 0...next(5) { out += Array(pick(pieces).utf8) }
            if next(4) == 0 { out += Array("/".utf8) }
            if next(12) == 0 { out += Array(" ".utf8) }
            if next(12) == 0 { out.append(0xff) }
            return out
        }

        mutating func name() -> [UInt8] {
            let pieces = ["a", "b", "c", "ab", "*", ".x", "é", "-", "]", "[", "\\", "d", " ", "7", "\n", "\u{1}"]
            var out = [UInt8]()
            for _ in 0...next(3) { out += Array(pick(pieces).utf8) }
            if next(16) == 0 { out.append(0xff) }
            return out
        }
    }

    /// A tree of random names under random rules at several levels; git and these rules must agree on every path.
    private func compare(_ scratch: Scratch, _ generator: inout Generator) throws -> (paths: Int, ignored: Int) {
        try scratch.shell("rm -rf repo; git init -q repo")
        var directories: [[[UInt8]]] = [[]]
        var rules = [[[UInt8]]: [UInt8]]()
        var paths: [(components: [[UInt8]], isDirectory: Bool)] = []
        var seen = Set<[[UInt8]]>()
        for _ in 0..<40 {
            let parent = generator.pick(directories)
            let path = parent + [generator.name()]
            guard seen.insert(path).inserted else { continue }
            let isDirectory = generator.next(2) == 0 && path.count < 5
            let bytes = Array("repo/".utf8) + Array(path.joined(separator: [0x2f]))
            try scratch.write(bytes + (isDirectory ? Array("/.keep".utf8) : []), [])
            if isDirectory { directories.append(path) }
            paths.append((path, isDirectory))
        }
        for directory in directories where directory.isEmpty || generator.next(3) == 0 {
            let text = Array((0...generator.next(7)).map { _ in generator.pattern() }.joined(separator: [0x0a]))
            rules[directory] = text
            let folder = directory.isEmpty ? [] : Array(directory.joined(separator: [0x2f])) + [0x2f]
            try scratch.write(Array("repo/".utf8) + folder + Array(".gitignore".utf8), text)
        }
        let asked = paths.map { Array($0.components.joined(separator: [0x2f])) }
        try scratch.write(Array("asked".utf8), Array(asked.joined(separator: [0])) + [0])
        let output = try scratch.shell("git -C repo check-ignore --no-index -z --stdin < asked || test $? = 1")
        let byGit = Set(output.split(separator: 0).map { Array($0) })
        let shown = rules.map { "\(NameText.display(Array($0.joined(separator: [0x2f])))): \(NameText.display($1))" }
        for (path, text) in zip(paths, asked) {
            let stack = IgnoreStack([IgnoreRules(rules[[]] ?? [])])
            let ours = stack.isIgnored(path: path.components, isDirectory: path.isDirectory) {
                rules[Array($0)].map { [IgnoreRules($0)] } ?? []
            }
            #expect(ours == byGit.contains(text), "\(NameText.display(text)) under \(shown)")
        }
        return (paths.count, byGit.count)
    }

    @Test func agreesWithGit() throws {
        let scratch = try Scratch()
        let seed = UInt64.random(in: 0...UInt64.max)
        print("IgnoreRulesTests.agreesWithGit seed \(seed)")
        var generator = Generator(state: seed)
        var total = (paths: 0, ignored: 0)
        for _ in 0..<20 {
            let (paths, ignored) = try compare(scratch, &generator)
            total.paths += paths
            total.ignored += ignored
        }
        // The comparison means something only when both answers occur often.
        #expect(total.paths > 400 && total.ignored > 20 && total.ignored < total.paths, "seed \(seed)")
    }
}
