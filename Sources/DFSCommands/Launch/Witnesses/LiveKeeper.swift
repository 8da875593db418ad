import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Synchronization

/// Keeps what the job writes: sends it to the disk every second, and records outputs that the job has made read-only.
final class LiveKeeper: RunWitness {
    let name = "keeping"

    private let keeping: Keeping
    private var ticker: Ticker?

    /// Between two looks.
    private static let milliseconds = 1000

    init(live: LiveRun, repository: Repository, signer: any Signer) {
        keeping = Keeping(live: live, recorder: OutputRecorder(repository: repository, live: live, signer: signer))
    }

    func began(pid: Int32, mountNamespace: String) {
        let keeping = keeping
        ticker = Ticker.start(milliseconds: Self.milliseconds) { keeping.look() }
    }

    func ended() {
        ticker?.cancel()
        ticker = nil
    }

    var summary: JSONValue { keeping.summary }
}

/// What is kept from one look to the next.
private final class Keeping: Sendable {
    private struct State {
        var flush: LiveFlush
        var recorded = Set<[UInt8]>()
        /// When files were looked at, and when outputs were recorded, last; monotonic nanoseconds.
        var lookedAt: UInt64 = 0
        var recordedAt: UInt64 = 0
        /// How long looking at the files took last.
        var cost: UInt64 = 0
        var recordings = 0
        var failure: DFSError?
        /// The first look is at once, when there is nothing yet that could be lost.
        var isFirst = true
    }

    private let state: Mutex<State>
    private let recorder: OutputRecorder

    /// Names that one look at the files goes through.
    private static let limit = 20_000
    /// Looking at files takes at most this part of the time.
    private static let share: UInt64 = 200
    /// An entry for each checkpoint, but not for each of thousands of small files.
    private static let pause: UInt64 = 3_000_000_000

    init(live: LiveRun, recorder: OutputRecorder) {
        state = Mutex(State(flush: LiveFlush(live: live)))
        self.recorder = recorder
    }

    func look() {
        state.withLock { state in
            if state.isFirst { return state.isFirst = false }
            state.flush.flushLogs()
            let now = Clock.monotonic()
            guard now - state.lookedAt >= state.cost * Self.share else { return }
            state.flush.flushFiles(limit: Self.limit)
            state.lookedAt = Clock.monotonic()
            state.cost = state.lookedAt - now
            record(&state)
        }
    }

    private func record(_ state: inout State) {
        let finished = state.flush.finished
        let now = Clock.monotonic()
        guard !finished.isSubset(of: state.recorded), now - state.recordedAt >= Self.pause else { return }
        state.recordedAt = now
        do throws(DFSError) {
            try recorder.record(finished)
            state.recorded = finished
            state.recordings += 1
            state.failure = nil
        } catch { state.failure = error }
    }

    var summary: JSONValue {
        state.withLock { state in
            var members: [String: JSONValue] = [
                "recordings": .integer(Int64(state.recordings)), "finished": .integer(Int64(state.recorded.count)),
            ]
            if let failure = state.failure {
                members["failure"] = .string(failure.what + (failure.cause.map { ": \($0)" } ?? ""))
            }
            return .object(members)
        }
    }
}
