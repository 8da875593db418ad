import DFSCommands
import DFSModel
import DFSSystem
import Dispatch
import Glibc
import Synchronization
import Testing

private struct Entry: Row {
    static let schema = "dfs.test/1"
    static let columns = [Column("NAME"), Column("SIZE", .right), Column("NOTE")]

    let name: [UInt8]
    let size: UInt64
    let note: String

    var cells: [Cell] { [.name(name), .size(size), .text(note, .dim)] }
    var json: [String: JSONValue] { ["name": .string(NameText.encode(name)), "size": .integer(Int64(size))] }
}

@Suite struct OutputTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    private let entries = [
        Entry(name: Array("a".utf8), size: 5, note: "x"),
        Entry(name: Array("日本".utf8), size: 2048, note: ""),
        Entry(name: [0x62, 0xff, 0x0a], size: 1 << 30, note: "two\nlines"),
    ]

    private func printed(
        _ format: Output.Format = .text, quiet: Bool = false, terminal: Bool = false, color: Style.Choice = .never,
        _ body: (Output) throws(DFSError) -> Void
    ) throws -> [UInt8] {
        let (output, files) = try sandbox.output(format, quiet: quiet, terminal: terminal, color: color)
        try body(output)
        try output.flush()
        withExtendedLifetime(files) {}
        return try Files.read(sandbox.root + "/scratch/out") ?? []
    }

    @Test func tablesAreAligned() throws {
        let text = try printed(terminal: true) { output throws(DFSError) in try output.list(entries) }
        #expect(
            String(decoding: text, as: UTF8.self) == """
                NAME          SIZE  NOTE
                a              5 B  x
                日本       2.0 KiB  
                b\\xff\\x0a  1.0 GiB  two\\x0alines

                """)
    }

    @Test func namesAreTheirBytesWhereNobodyLooks() throws {
        let text = try printed { output throws(DFSError) in try output.list([entries[2]]) }
        #expect(text.split(separator: UInt8(ascii: "\n"), maxSplits: 1)[1].starts(with: [0x62, 0xff, 0x0a]))
    }

    @Test func listsAreJSONLines() throws {
        let text = try printed(.json) { output throws(DFSError) in try output.list(entries) }
        #expect(
            String(decoding: text, as: UTF8.self) == """
                {"name":"a","schema":"dfs.test/1","size":5}
                {"name":"日本","schema":"dfs.test/1","size":2048}
                {"name":"b%ff\\n","schema":"dfs.test/1","size":1073741824}

                """)
    }

    @Test func quietListsAreKeysAlone() throws {
        let text = try printed(quiet: true) { output throws(DFSError) in
            try output.list(entries.dropLast(), whenEmpty: "?")
        }
        #expect(String(decoding: text, as: UTF8.self) == "a\n日本\n")
    }

    @Test func emptyListsSayWhy() throws {
        let none = [Entry]()
        #expect(try printed { output throws(DFSError) in try output.list(none, whenEmpty: "nothing yet") }.isEmpty)
        #expect(try sandbox.text("err") == "nothing yet\n")
        #expect(
            try printed(quiet: true) { output throws(DFSError) in try output.list(none, whenEmpty: "nothing yet") }
                .isEmpty)
        #expect(try sandbox.text("err").isEmpty)
        #expect(
            try printed(.json) { output throws(DFSError) in try output.list(none, whenEmpty: "nothing yet") }.isEmpty)
        #expect(try sandbox.text("err").isEmpty)
    }

    @Test func longListsArePrintedAsTheyCome() throws {
        let (output, files) = try sandbox.output()
        let list = output.list(of: Entry.self)
        for i in 0..<20_000 { try list.add(Entry(name: Array("\(i)".utf8), size: UInt64(i), note: "n")) }
        let before = try Files.read(sandbox.root + "/scratch/out")?.count ?? 0
        #expect(before > 100_000)
        try list.finish()
        try output.flush()
        let lines = try sandbox.text("out").split(separator: "\n")
        #expect(lines.count == 20_001 && lines[20_000] == "19999  19.5 KiB  n")
        withExtendedLifetime(files) {}
    }

    @Test func fieldsAreAligned() throws {
        let text = try printed { output throws(DFSError) in
            try output.fields([("version", .text("v3")), ("at", .text("now"))])
        }
        #expect(String(decoding: text, as: UTF8.self) == "version  v3\nat       now\n")
    }

    @Test func colorIsAChoice() throws {
        let colored = "\u{1b}[1;31mx\u{1b}[0m"
        for (choice, terminal, variables, expected) in [
            (.auto, true, [:], colored), (.auto, false, [:], "x"), (.always, false, [:], colored),
            (.never, true, [:], "x"), (.auto, true, ["NO_COLOR": "1"], "x"), (.auto, true, ["TERM": "dumb"], "x"),
            (.auto, true, ["NO_COLOR": ""], colored), (.always, true, ["NO_COLOR": "1"], colored),
        ] as [(Style.Choice, Bool, [String: String], String)] {
            let style = Style(choice, isTerminal: terminal, environment: sandbox.environment(variables))
            #expect(style.paint("x", .bad) == expected)
        }
    }

    @Test func colorDoesNotMoveColumns() throws {
        let text = try printed(color: .always) { output throws(DFSError) in try output.list(entries.dropLast()) }
        let plain = String(decoding: text, as: UTF8.self).split(separator: "\u{1b}").map { part in
            part.hasPrefix("[") ? String(part.drop { $0 != "m" }.dropFirst()) : String(part)
        }.joined()
        #expect(plain.hasPrefix("NAME     SIZE  NOTE\na         5 B  x\n"))
    }

    @Test func quietSaysNothingButWarns() throws {
        let (output, files) = try sandbox.output(quiet: true)
        output.say("resolved")
        output.warn("odd")
        #expect(try sandbox.text("err") == "warning: odd\n")
        withExtendedLifetime(files) {}
    }

    @Test func namesInTalkDoNotActOnTheTerminal() throws {
        let (output, files) = try sandbox.output()
        output.say("code \u{1b}[2Jx")
        output.warn("odd\rname \u{e9}")
        #expect(try sandbox.text("err") == "code \\x1b[2Jx\nwarning: odd\\x0dname \u{e9}\n")
        withExtendedLifetime(files) {}
    }

    @Test func largeDataIsWrittenWhole() throws {
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let text = try printed { output throws(DFSError) in
            try output.write(Array(bytes[..<10]))
            try output.write(Array(bytes[10..<200_000]))
            for i in stride(from: 200_000, to: 300_000, by: 1000) { try output.write(Array(bytes[i..<i + 1000])) }
        }
        #expect(text == bytes)
    }

    @Test func aFailedWriteIsReportedOnce() throws {
        let full = try OwnedDescriptor.open("/dev/full", O_WRONLY)
        let stream = BufferedStream(full.raw, name: "standard output")
        try stream.write([1, 2, 3])
        let error = #expect(throws: DFSError.self) { try stream.flush() }
        #expect(error?.errno == ENOSPC && !stream.readerIsGone)
        #expect(throws: Never.self) { try stream.flush() }
    }

    @Test func aSlowReaderOfANonBlockingPipeIsWaitedFor() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let (source, target) = (OwnedDescriptor(adopting: ends[0]), OwnedDescriptor(adopting: ends[1]))
        _ = fcntl(target.raw, F_SETFL, O_NONBLOCK)
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let received = Mutex([UInt8]())
        let reader = DispatchQueue(label: "reader")
        reader.async {
            var buffer = [UInt8](repeating: 0, count: 65536)
            while received.withLock({ $0.count }) < 1 << 20 {
                let got = read(source.raw, &buffer, buffer.count)
                if got <= 0 { return }
                received.withLock { $0 += buffer[..<got] }
            }
        }
        try BufferedStream(target.raw, name: "pipe").write(bytes)
        reader.sync {}
        #expect(received.withLock { $0 } == bytes)
    }
}

@Suite struct ErrorReportTests {
    private let plain = Style(isColored: false)

    @Test func atMostThreeLines() {
        let whole = DFSError(.noReference, "no dataset x", cause: "there are 2", hint: "dfs ls", errno: 2)
        #expect(
            ErrorReport(whole, exit: .noReference).lines(plain) == [
                "error: no dataset x", "cause: there are 2", "hint: dfs ls",
            ])
        #expect(ErrorReport(DFSError(.usage, "x"), exit: .usage).lines(plain) == ["error: x"])
        let hostile = DFSError(.operational, "cannot open a\nb\u{1b}[2J", cause: "c\r\nd", hint: "rm \u{202e}x")
        let lines = ErrorReport(hostile, exit: .failed).lines(plain)
        #expect(lines == ["error: cannot open a\\x0ab\\x1b[2J", "cause: c\\x0d\\x0ad", "hint: rm \\xe2\\x80\\xaex"])
    }

    @Test func colorsTheLabelsOnly() {
        let lines = ErrorReport(DFSError(.usage, "x", hint: "y"), exit: .usage).lines(Style(isColored: true))
        #expect(lines == ["\u{1b}[1;31merror:\u{1b}[0m x", "\u{1b}[36mhint:\u{1b}[0m y"])
    }

    @Test func jsonHoldsEverything() {
        let json = ErrorReport(DFSError(.operational, "w", cause: "c", hint: "h", errno: 28), exit: .failed).json
        #expect(
            json == [
                "schema": "dfs.error/1", "error": "w", "cause": "c", "hint": "h", "errno": 28, "code": "operational",
                "exit": 2,
            ])
        #expect(ErrorReport(DFSError(.usage, "w"), exit: .usage).json["cause"] == nil)
    }
}
