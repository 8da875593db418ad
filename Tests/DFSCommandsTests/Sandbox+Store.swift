import DFSCommands
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension Sandbox {
    var store: String { home + "/.local/share/dfs/store" }

    /// Runs the program as `call` does and expects this exit code.
    @discardableResult
    func expect(
        _ code: Int32, _ arguments: String..., source: SourceLocation = #_sourceLocation
    ) throws -> Answer {
        let (output, error) = (try scratchFile("out"), try scratchFile("err"))
        let result = Invocation(
            arguments: arguments, environment: environment(),
            streams: StandardStreams(output: output.raw, error: error.raw)
        ).run()
        let answer = Answer(code: result, output: try text("out"), error: try text("err"))
        #expect(answer.code == code, "\(arguments): \(answer.output)\(answer.error)", sourceLocation: source)
        if code > 1 { #expect(answer.isProperError, "\(arguments): \(answer.error)", sourceLocation: source) }
        return answer
    }

    /// Two versions of `faces`, made from `work/src`.
    func commitTwice() throws {
        var random = SeededGenerator(seed: 3)
        try write("hello\n", to: "work/src/a.txt")
        try write("x\n", to: "work/src/sub/b")
        try write(random.bytes(300_000), to: "work/src/big")
        try expect(0, "commit", "faces", "src", "-m", "first", "--meta", "camera=old")
        try write("hello two\n", to: "work/src/a.txt")
        try Files.remove(work + "/src/sub/b")
        try write("n\n", to: "work/src/sub/c")
        try expect(0, "commit", "faces", "src", "--tag", "good")
    }

    func open() throws -> Repository { try Repository.open(at: store, cacheRoot: home + "/.cache/dfs") }

    /// A run that the ledger knows: started, and ended where `outcome` says how, with these logs.
    func recordRun(command: [String], outcome: RunOutcome?, logs: [String: String] = [:]) throws -> RunID {
        let repository = try open()
        let signer = try KeyFile.load(orCreateAt: home + "/.config/dfs/key")
        let id = RunID(.make())
        let folder = root + "/run"
        try? Files.removeTree(folder)
        try Files.makeDirectories(folder)
        for (name, text) in logs { try TestFiles.write(folder + "/" + name, Array(text.utf8)) }
        let writer = StoreWriter(store: repository.objects)
        let captured = try Capture(
            root: folder, writer: writer, reader: repository.reader, cache: nil, previous: nil,
            options: CaptureOptions()
        ).run()
        let code = try writer.put(["format": "dfs.code/1"])
        let plan = try writer.put(["format": "dfs.run/1"])
        let result = try writer.put(["format": "dfs.result/1"])
        let text = try writer.put(TextObject(fields: ["arguments": .array(command.map { .string($0) })]).encoded)
        let finished = try writer.finish(base: nil)
        func reference(_ record: ObjectAddress) -> RecordReference {
            RecordReference(record: record, packs: finished.packs, pack: finished.pack)
        }
        try repository.append(by: signer) { state throws(DFSError) in
            let version = state.datasets["faces"]?.latest
            let input = version.map {
                RunInput(key: "faces", dataset: "faces", version: $0.number, content: $0.content)
            }
            var events: [LedgerEvent] = [
                .codeCaptured(
                    .init(
                        project: "trainer", snapshot: String(id.uuid.digits.suffix(12)), tree: captured.summary,
                        record: reference(code))),
                .runStarted(
                    .init(
                        run: id, project: "trainer", snapshot: String(id.uuid.digits.suffix(12)),
                        data: input.map { [$0] } ?? [], record: reference(plan), text: text)),
            ]
            if let outcome {
                events.append(
                    .runFinished(
                        .init(
                            run: id, outcome: outcome, outputs: captured.summary, work: captured.summary,
                            logs: captured.summary, record: reference(result))))
            }
            return events
        }
        return id
    }
}

extension Sandbox.Answer {
    /// At most three lines: `error:`, then `cause:`, then `hint:`.
    var isProperError: Bool {
        let lines = errorLines.filter { line in !line.hasPrefix("{") && !line.hasPrefix("made a store") }
        let order = ["error: ", "cause: ", "hint: "]
        let places = lines.map { line in order.firstIndex { line.hasPrefix($0) } ?? -1 }
        return places.first == 0 && places == places.sorted() && Set(places).count == places.count
    }

    /// The objects of a JSON Lines answer.
    func rows() throws -> [JSONValue] {
        try output.split(separator: "\n").map { try JSONValue.parse(Array($0.utf8)) }
    }
}
