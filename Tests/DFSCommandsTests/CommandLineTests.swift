import DFSCommands
import DFSModel
import DFSSystem
import Glibc
import Testing

/// The grammar around the commands, in this process.
@Suite struct CommandLineTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    @Test func doctorShowsWhatIsResolved() throws {
        let answer = try sandbox.call("doctor")
        #expect(answer.code == 0 && answer.error.isEmpty)
        #expect(answer.output.hasPrefix("store    \(sandbox.home)/.local/share/dfs/store  (default;"))
        #expect(answer.output.contains("\ncache    \(sandbox.home)/.cache/dfs\n"))
        #expect(answer.output.contains("\nruntime  \(sandbox.home)/.cache/dfs\n"))
        #expect(answer.output.contains("\nkey      \(sandbox.home)/.config/dfs/key"))
    }

    @Test func doctorAnswersInJSON() throws {
        let answer = try sandbox.call("doctor", "--json", "--store", "s3://bucket/p")
        let json = try JSONValue.parse(answer.output)
        #expect(json["schema"] == "dfs.doctor/1" && json["healthy"] == true)
        let store = json["findings"]?.array?.first
        #expect(store?["value"] == "s3://bucket/p" && store?["level"] == "option" && store?["namedBy"] == "--store")
        #expect(answer.output.hasSuffix("}\n") && answer.output.split(separator: "\n").count == 1)
    }

    @Test func doctorFindsWhatIsMissing() throws {
        let answer = try sandbox.call("doctor", "--store", "no where")
        #expect(answer.code == 1)
        #expect(answer.output.contains("not there)  hint: dfs init '\(sandbox.work)/no where'"))
    }

    @Test func doctorReportsABrokenProjectFile() throws {
        try sandbox.write("store = \n", to: "work/dfs.toml")
        let answer = try sandbox.call("doctor")
        #expect(answer.code == 1 && answer.output.contains("project  cannot read \(sandbox.work)/dfs.toml, line 1"))
    }

    @Test(arguments: [
        ["--json", "--store", "/x", "doctor"], ["doctor", "--json", "--store", "/x"],
        ["--store=/x", "doctor", "--json"],
        ["-j4", "--store", "/x", "doctor", "--json"], ["-j", "4", "doctor", "--store=/x", "--json", "-q"],
    ])
    func globalOptionsStandBeforeOrAfterTheName(_ arguments: [String]) throws {
        let files = [try sandbox.scratchFile("out"), try sandbox.scratchFile("err")]
        let code = Invocation(
            arguments: arguments, environment: sandbox.environment(),
            streams: StandardStreams(output: files[0].raw, error: files[1].raw)
        ).run()
        #expect(code == 1)
        let json = try JSONValue.parse(try sandbox.text("out"))
        #expect(json["findings"]?.array?.first?["value"] == "/x")
    }

    @Test(
        arguments: [
            (["docter"], "error: there is no command dfs docter", "cause: did you mean doctor?", "hint: dfs doctor"),
            (
                ["dcotor", "--store", "a b"], "error: there is no command dfs dcotor", "cause: did you mean doctor?",
                "hint: dfs doctor --store 'a b'"
            ),
            (
                ["--json", "config"], "error: there is no command dfs config", "cause: here it is doctor",
                "hint: dfs doctor --help"
            ),
            (
                ["help", "docter"], "error: there is no command dfs docter", "cause: did you mean doctor?",
                "hint: dfs doctor"
            ),
            (["nonsense"], "error: there is no command dfs nonsense", "hint: dfs --help", nil),
            (
                ["doctor", "--jsn"], "error: unknown option '--jsn'", "cause: did you mean '--json'?",
                "hint: dfs doctor --help"
            ),
            (["doctor", "x"], "error: unexpected argument 'x'", "hint: dfs doctor --help", nil),
            (["doctor", "--store"], "error: missing value for '--store <store>'", "hint: dfs doctor --help", nil),
            (["doctor", "-j0"], "error: --jobs takes a number of at least 1, not 0", "hint: dfs doctor --help", nil),
            (["--bogus"], "error: unknown option '--bogus'", "hint: dfs --help", nil),
            (
                ["doctor", "--color", "red"], "error: the value 'red' is invalid for '--color <color>'",
                "cause: please provide one of 'auto', 'always' or 'never'.", "hint: dfs doctor --help"
            ),
        ] as [([String], String, String, String?)])
    func wrongUsage(_ arguments: [String], _ first: String, _ second: String, _ third: String?) throws {
        let files = [try sandbox.scratchFile("out"), try sandbox.scratchFile("err")]
        let code = Invocation(
            arguments: arguments, environment: sandbox.environment(),
            streams: StandardStreams(output: files[0].raw, error: files[1].raw)
        ).run()
        #expect(code == 64)
        #expect(try sandbox.text("out").isEmpty)
        let lines = try sandbox.text("err").split(separator: "\n").map(String.init).filter { !$0.hasPrefix("{") }
        #expect(lines == [first, second, third].compactMap(\.self))
    }

    @Test func errorsAreAlsoJSONWhereAsked() throws {
        let answer = try sandbox.call("doctor", "--json", "--jsn")
        #expect(answer.output.isEmpty && answer.errorLines.count == 4)
        let json = try JSONValue.parse(String(answer.errorLines[3]))
        #expect(json["schema"] == "dfs.error/1" && json["code"] == "usage" && json["exit"] == 64)
        #expect(json["error"] == "unknown option '--jsn'" && json["hint"] == "dfs doctor --help")
    }

    @Test func helpIsDataAndGrouped() throws {
        for arguments in [[], ["--help"], ["help"], ["-h"]] {
            let files = [try sandbox.scratchFile("out"), try sandbox.scratchFile("err")]
            let code = Invocation(
                arguments: arguments, environment: sandbox.environment(),
                streams: StandardStreams(output: files[0].raw, error: files[1].raw)
            ).run()
            #expect(code == 0)
            let text = try sandbox.text("out")
            #expect(text.contains("USAGE: dfs <subcommand>") && text.contains("\nMACHINE SUBCOMMANDS:\n  doctor "))
            #expect(try sandbox.text("err").isEmpty)
        }
        #expect(try sandbox.call("doctor", "--help").output.contains("USAGE: dfs doctor "))
        #expect(try sandbox.call("help", "doctor").output.contains("USAGE: dfs doctor "))
        #expect(try sandbox.call("--version").output.hasPrefix("dfs 0."))
    }

    @Test func aMissingHomeIsNamed() throws {
        let answer = try sandbox.call("doctor", environment: sandbox.environment(home: .some(nil)))
        #expect(answer.code == 1)
        #expect(answer.output.contains("there is no home directory  (neither HOME nor XDG_DATA_HOME is set)"))
    }
}

@Suite struct SuggestionTests {
    private let commands = [
        "commit", "ls", "log", "show", "export", "umount", "mounts", "mount", "runs", "run", "doctor",
    ]

    @Test(arguments: [
        ("comit", "commit"), ("commmit", "commit"), ("ocmmit", "commit"), ("COMMIT", "commit"), ("lgo", "log"),
        ("sl", "ls"), ("LS", "ls"), ("shwo", "show"), ("exprot", "export"), ("mout", "mount"), ("umont", "umount"),
        ("rnu", "run"), ("docter", "doctor"),
    ])
    func typos(_ word: String, _ meant: String) {
        #expect(Suggestion.nearest(to: word, among: commands) == meant)
    }

    @Test(arguments: ["checkout", "add", "clone", "x", "", "frobnicate", "restore", "zz", "history"])
    func otherWordsAreNoTypos(_ word: String) { #expect(Suggestion.nearest(to: word, among: commands) == nil) }

    @Test func distances() {
        #expect(Suggestion.distance("", "") == 0 && Suggestion.distance("abc", "abc") == 0)
        #expect(Suggestion.distance("", "abc") == 3 && Suggestion.distance("abc", "") == 3)
        #expect(Suggestion.distance("ab", "ba") == 1 && Suggestion.distance("abcd", "abdc") == 1)
        #expect(Suggestion.distance("kitten", "sitting") == 3)
    }

    @Test func habitsFromElsewhere() {
        for (habit, here) in [
            ("checkout", "export"), ("add", "commit"), ("clone", "fetch"), ("restore", "export"), ("pull", "fetch"),
            ("unmount", "umount"), ("history", "log"), ("ps", "runs"), ("snapshot", "commit"),
        ] { #expect(Suggestion.habits[habit] == here) }
    }

    @Test func wordsAreQuotedForAShell() {
        #expect(ShellText.quote("faces@v3/a-b_c.d") == "faces@v3/a-b_c.d")
        #expect(ShellText.quote("") == "''")
        #expect(ShellText.quote("a b") == "'a b'")
        #expect(ShellText.quote("it's") == "'it'\\''s'")
        #expect(ShellText.quote("$x") == "'$x'" && ShellText.quote("~x") == "'~x'" && ShellText.quote("*") == "'*'")
    }
}

@Suite struct ArgumentTextTests {
    @Test func textIsItself() {
        #expect(ArgumentText.text(of: Array("faces/é😀".utf8)) == "faces/é😀")
        #expect(ArgumentText.bytes(of: "faces/é😀") == Array("faces/é😀".utf8))
    }

    @Test func everyByteStringGoesRound() {
        var state: UInt64 = 11
        func random() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        for _ in 0..<20_000 {
            let bytes = (0..<Int(random() % 12)).map { _ in random() % 3 == 0 ? 0x41 : random() }
            #expect(ArgumentText.bytes(of: ArgumentText.text(of: bytes)) == bytes)
        }
        // Text that already holds the escapes must not be taken for them.
        for value in [0x10ff7f, 0x10ff80, 0x10ffff] as [UInt32] {
            let bytes = Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
            #expect(bytes.count == 4 && ArgumentText.bytes(of: ArgumentText.text(of: bytes)) == bytes)
        }
    }
}

@Suite struct ExitCodeTests {
    @Test(
        arguments: [
            (.operational, 2, 125), (.noStore, 10, 10), (.noReference, 11, 11), (.usage, 64, 64), (.corrupt, 1, 121),
            (.newerFormat, 2, 125), (.refused, 2, 122), (.cannotServe, 2, 123), (.launcher, 125, 125),
            (.cannotExecute, 126, 126), (.commandNotFound, 127, 127), (.interrupted, 130, 130), (.drift, 1, 120),
        ] as [(DFSError.Code, Int32, Int32)])
    func everyErrorHasItsCode(_ code: DFSError.Code, _ general: Int32, _ launch: Int32) {
        #expect(ExitCode(code).rawValue == general)
        #expect(ExitCode(code, .launch).rawValue == launch)
    }

    @Test func theTableAboveIsWhole() { #expect(DFSError.Code.allCases.count == 13) }

    @Test func namedCodesAreTheContract() {
        let codes: [ExitCode] = [
            .done, .differences, .failed, .inconclusive, .noStore, .noReference, .usage, .interrupted, .outputsDiffer,
            .driftRefused, .integrity, .denied, .cannotServe, .launcher, .cannotExecute, .commandNotFound,
        ]
        #expect(codes.map(\.rawValue) == [0, 1, 2, 3, 10, 11, 64, 130, 118, 120, 121, 122, 123, 125, 126, 127])
    }
}
