import DFSModel
import DFSSystem
import Dispatch
import Synchronization

/// Shows how far a long activity is. A command that ends within half a second shows nothing.
///
/// Workers add to the counters of an `Activity`; a thread looks at them now and then and draws. One activity at a time.
package final class Progress: Sendable {
    package enum Mode: String, Sendable, CaseIterable { case auto, plain, json, none }

    /// What workers count. The expected numbers may be learned on the way; 0 means unknown.
    package final class Activity: Sendable {
        package let what: String
        package let bytes = Counter()
        package let files = Counter()
        package let expectedBytes = Counter()
        package let expectedFiles = Counter()

        package init(_ what: String) { self.what = what }
    }

    enum Look: Sendable { case line, plain, json }

    private let look: Look?
    private let talk: Talk
    /// The activity that is shown; nil between activities. Held while drawing, so that nothing is drawn after `end`.
    private let current = Mutex<Current?>(nil)

    private struct Current {
        let activity: Activity
        var meter: ProgressMeter
    }

    package init(mode: Mode, talk: Talk) {
        self.talk = talk
        look =
            switch mode {
            case .none: nil
            case .plain: .plain
            case .json: .json
            case .auto: talk.isTerminal ? .line : .plain
            }
    }

    /// Shows `what` while `body` runs.
    package func track<Result>(
        _ what: String, _ body: (Activity) throws(DFSError) -> Result
    ) throws(DFSError) -> Result {
        let activity = Activity(what)
        begin(activity, at: Clock.monotonic())
        let ended = DispatchSemaphore(value: 0)
        defer {
            end()
            ended.signal()
        }
        if let look { tick(activity, look, until: ended) }
        return try body(activity)
    }

    func begin(_ activity: Activity, at nanoseconds: UInt64) {
        current.withLock { $0 = Current(activity: activity, meter: ProgressMeter(start: nanoseconds)) }
    }

    func end() {
        current.withLock { $0 = nil }
        talk.erase()
    }

    /// Draws the present state of `activity`; false when it is no longer the one that is shown.
    @discardableResult
    func draw(_ activity: Activity, at nanoseconds: UInt64) -> Bool {
        current.withLock { current in
            guard let look, current?.activity === activity,
                let state = current?.meter.sample(activity, at: nanoseconds)
            else { return false }
            switch look {
            case .line:
                let columns = TerminalDevice.columns(talk.descriptor) ?? 80
                talk.draw(TextWidth.prefix(state.line, columns - 1))
            case .plain: talk.line(state.line)
            case .json: talk.line(state.json.canonicalText)
            }
            return true
        }
    }

    /// Waits, and sets no timer: for that libdispatch needs descriptors, and traps when there are none left.
    private func tick(_ activity: Activity, _ look: Look, until ended: DispatchSemaphore) {
        DispatchQueue(label: "dfs.progress").async { [self] in
            var delay = look.first
            while ended.wait(timeout: .now() + delay) == .timedOut, draw(activity, at: Clock.monotonic()) {
                delay = look.interval
            }
        }
    }
}

extension Progress.Look {
    fileprivate var first: DispatchTimeInterval {
        switch self {
        case .line, .json: .milliseconds(500)
        case .plain: .seconds(30)
        }
    }

    fileprivate var interval: DispatchTimeInterval {
        switch self {
        case .line: .milliseconds(100)
        case .json: .seconds(1)
        case .plain: .seconds(30)
        }
    }
}
