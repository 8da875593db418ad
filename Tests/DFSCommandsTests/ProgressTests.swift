import DFSModel
import DFSSystem
import Testing

@testable import DFSCommands

@Suite struct ProgressTests {
    private let sandbox: Sandbox
    private let second: UInt64 = 1_000_000_000

    init() throws { sandbox = try Sandbox() }

    private func progress(_ mode: Progress.Mode, terminal: Bool) throws -> (Progress, OwnedDescriptor) {
        let file = try sandbox.scratchFile("err")
        let talk = Talk(descriptor: file.raw, isTerminal: terminal, style: Style(isColored: false))
        return (Progress(mode: mode, talk: talk), file)
    }

    @Test func aTerminalHasOneLineThatIsErased() throws {
        let (progress, file) = try progress(.auto, terminal: true)
        let activity = Progress.Activity("commit faces")
        activity.expectedBytes.increment(by: 4 << 20)
        progress.begin(activity, at: 0)
        activity.bytes.increment(by: 1 << 20)
        activity.files.increment(by: 1200)
        progress.draw(activity, at: second)
        progress.draw(activity, at: 2 * second)
        progress.end()
        #expect(
            try sandbox.text("err")
                == "\r\u{1b}[Kcommit faces  1.0 MiB of 4.0 MiB  25%  1,200 files  1.0 MiB/s  ETA 3.0 s"
                + "\r\u{1b}[Kcommit faces  1.0 MiB of 4.0 MiB  25%  1,200 files  512 KiB/s  ETA 6.0 s"
                + "\r\u{1b}[K")
        withExtendedLifetime(file) {}
    }

    @Test func talkStandsAboveTheLine() throws {
        let file = try sandbox.scratchFile("err")
        let talk = Talk(descriptor: file.raw, isTerminal: true, style: Style(isColored: false))
        let progress = Progress(mode: .auto, talk: talk)
        let activity = Progress.Activity("verify")
        progress.begin(activity, at: 0)
        progress.draw(activity, at: second)
        talk.line("note")
        progress.end()
        #expect(try sandbox.text("err") == "\r\u{1b}[Kverify  1.0 s\r\u{1b}[Knote\n")
    }

    @Test func elsewhereItIsLines() throws {
        let (progress, file) = try progress(.auto, terminal: false)
        let activity = Progress.Activity("verify")
        activity.expectedFiles.increment(by: 10)
        progress.begin(activity, at: 0)
        activity.files.increment(by: 5)
        progress.draw(activity, at: 30 * second)
        progress.end()
        #expect(try sandbox.text("err") == "verify  50%  5 of 10 files  30 s\n")
        withExtendedLifetime(file) {}
    }

    @Test func orJSON() throws {
        let (progress, file) = try progress(.json, terminal: true)
        let activity = Progress.Activity("verify")
        activity.expectedFiles.increment(by: 10)
        progress.begin(activity, at: 0)
        activity.files.increment(by: 5)
        progress.draw(activity, at: second)
        progress.end()
        #expect(
            try JSONValue.parse(try sandbox.text("err")) == [
                "schema": "dfs.progress/1", "what": "verify", "bytes": 0, "files": 5, "expectedFiles": 10,
                "milliseconds": 1000, "remainingMilliseconds": 1000,
            ])
        withExtendedLifetime(file) {}
    }

    @Test func orNothing() throws {
        let (progress, file) = try progress(.none, terminal: true)
        let activity = Progress.Activity("verify")
        progress.begin(activity, at: 0)
        #expect(!progress.draw(activity, at: second))
        progress.end()
        #expect(try sandbox.text("err").isEmpty)
        withExtendedLifetime(file) {}
    }

    @Test func nothingIsDrawnOfAnActivityThatEnded() throws {
        let (progress, file) = try progress(.plain, terminal: true)
        let (old, new) = (Progress.Activity("old"), Progress.Activity("new"))
        progress.begin(old, at: 0)
        progress.begin(new, at: 0)
        #expect(!progress.draw(old, at: second))
        #expect(progress.draw(new, at: second))
        progress.end()
        #expect(!progress.draw(new, at: second))
        #expect(try sandbox.text("err") == "new  1.0 s\n")
        withExtendedLifetime(file) {}
    }

    @Test func trackEndsWithItsBody() throws {
        let (progress, file) = try progress(.auto, terminal: false)
        let activity = try progress.track("short") { activity throws(DFSError) in
            Workers.run(8) { _ in for _ in 0..<1000 { activity.bytes.increment() } }
            return activity
        }
        #expect(activity.bytes.current == 8000)
        #expect(!progress.draw(activity, at: second))
        #expect(throws: DFSError.self) {
            try progress.track("fails") { _ throws(DFSError) -> Void in throw DFSError(.operational, "x") }
        }
        #expect(try sandbox.text("err").isEmpty)
        withExtendedLifetime(file) {}
    }

    @Test func theRateForgetsOldTimes() {
        var meter = ProgressMeter(start: 0)
        let activity = Progress.Activity("x")
        activity.bytes.increment(by: 1 << 30)
        var state = meter.sample(activity, at: second)
        #expect(state.bytesPerSecond == 1 << 30)
        for i in 2...100 { state = meter.sample(activity, at: UInt64(i) * second) }
        #expect(state.bytesPerSecond == 0 && state.milliseconds == 100_000)
    }

    @Test func numbersStayInRange() {
        let state = ProgressState(
            what: "x", bytes: 20, files: 0, expectedBytes: 10, expectedFiles: 0, milliseconds: 1, bytesPerSecond: 5)
        #expect(state.percent == 100 && state.remaining == 0)
        let huge = ProgressState(
            what: "x", bytes: 0, expectedBytes: .max, bytesPerSecond: 1000)
        #expect(huge.percent == 0 && (huge.remaining ?? 0) > 0)
        #expect(ProgressState(what: "x").remaining == nil && ProgressState(what: "x").percent == nil)
    }

    @Test func linesAreCutToTheTerminal() {
        #expect(TextWidth.prefix("abc日本", 5) == "abc日")
        #expect(TextWidth.prefix("abc日本", 6) == "abc日")
        #expect(TextWidth.prefix("abc", 80) == "abc" && TextWidth.prefix("abc", 0) == "")
    }
}
