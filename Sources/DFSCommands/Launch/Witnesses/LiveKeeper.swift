import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Synchronization

/// Keeps what the job writes: sends it to the disk every second, and records outputs that the job has made read-only.
final class LiveKeeper: RunWitness {
    let name = "keeping"

    private let logs: LogKeeping
    private let files: FileKeeping
    // Two threads: logs do not wait until a checkpoint is on the disk.
    private var tickers = [Ticker]()

    /// Between two looks.
    private static let milliseconds = 1000

    init(live: LiveRun, repository: Repository, signer: any Signer) {
        logs = LogKeeping(live: live)
        files = FileKeeping(
            live: live, recorder: OutputRecorder(repository: repository, live: live, signer: signer))
    }

    func began(pid: Int32, mountNamespace: String) {
        let (logs, files) = (logs, files)
        tickers = [
            Ticker.start(milliseconds: Self.milliseconds) { logs.look() },
            Ticker.start(milliseconds: Self.milliseconds) { files.look() },
        ].compactMap { $0 }
    }

    func ended() {
        for ticker in tickers { ticker.cancel() }
        tickers = []
    }

    var summary: JSONValue { files.summary }
    var words: String? { files.failure.map { "outputs were not recorded before the end: \($0)" } }
}

/// Logs, metrics and evidence.
private final class LogKeeping: Sendable {
    private let live: LiveRun
    /// `nil` before the first look, which is at once, when there is nothing yet that could be lost.
    private let flush = Mutex<LiveFlush?>(nil)

    init(live: LiveRun) { self.live = live }

    func look() {
        flush.withLock { flush in
            guard flush != nil else { return flush = LiveFlush() }
            flush?.flush([live.logs, live.evidence])
        }
    }
}

/// Outputs and working files.
private final class FileKeeping: Sendable {
    private struct State {
        var flush = LiveFlush()
        var recorded: [[UInt8]: LiveFlush.Mark] = [:]
        /// When files were looked at, and when outputs were recorded, last; monotonic nanoseconds.
        var lookedAt: UInt64 = 0
        var recordedAt: UInt64 = 0
        var recordings = 0
        var failure: DFSError?
        var isFirst = true
    }

    private let state = Mutex(State())
    private let live: LiveRun
    private let recorder: OutputRecorder

    /// Names that one look goes through.
    private static let limit = 20_000
    /// Looking takes at most this part of the time.
    private static let share: UInt64 = 200
    /// An entry for each checkpoint, but not for each of thousands of small files.
    private static let pause: UInt64 = 3_000_000_000

    init(live: LiveRun, recorder: OutputRecorder) {
        self.live = live
        self.recorder = recorder
    }

    func look() {
        state.withLock { state in
            if state.isFirst { return state.isFirst = false }
            guard Clock.monotonic() - state.lookedAt >= state.flush.lookingTime * Self.share else { return }
            state.flush.flush([live.outputs, live.work], outputs: live.outputs, limit: Self.limit)
            state.lookedAt = Clock.monotonic()
            record(&state)
        }
    }

    private func record(_ state: inout State) {
        let finished = state.flush.finished
        let now = Clock.monotonic()
        guard finished.contains(where: { state.recorded[$0.key] != $0.value }), now - state.recordedAt >= Self.pause
        else { return }
        state.recordedAt = now
        do throws(DFSError) {
            try recorder.record(Set(finished.keys))
            state.recorded = finished
            state.recordings += 1
            state.failure = nil
        } catch { state.failure = error }
    }

    var failure: String? { state.withLock { $0.failure.map { $0.what + ($0.cause.map { ": \($0)" } ?? "") } } }

    var summary: JSONValue {
        let failure = failure
        return state.withLock { state in
            var members: [String: JSONValue] = [
                "recordings": .integer(Int64(state.recordings)), "finished": .integer(Int64(state.recorded.count)),
            ]
            if let failure { members["failure"] = .string(failure) }
            return .object(members)
        }
    }
}
