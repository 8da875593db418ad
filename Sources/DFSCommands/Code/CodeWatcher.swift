import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// The loop of `dfs code watch`.
final class CodeWatcher {
    private let context: CommandContext
    private let repository: Repository
    private let capture: ProjectCapture
    private let start: String
    private let signer: any Signer
    private let stop: Int32
    private var watch: TreeWatch?
    private var lastProblem: String?
    private var saidLimit = false
    /// What was told of last.
    private var lastSnapshot: String?
    /// Milliseconds between looks where that is all there is.
    private var pause = CodeWatcher.polling

    /// Milliseconds without a change after which the tree counts as at rest; under constant change it is captured all the same.
    private static let quiet = 1000, longest = 10_000
    /// How often a tree is looked at that cannot be watched, and how many times longer than a look took.
    private static let polling = 3000, pollingFactor = 20

    init(
        context: CommandContext, repository: Repository, capture: ProjectCapture, start: String, signer: any Signer,
        stop: Int32
    ) {
        self.context = context
        self.repository = repository
        self.capture = capture
        self.start = start
        self.signer = signer
        self.stop = stop
    }

    /// Returns when it is told to stop.
    func run() throws(DFSError) {
        // Watched before the first look: what changes meanwhile is not missed.
        let survey = try capture.survey(from: start)
        let watch = try TreeWatch(root: survey.root, exclusions: survey.exclusions)
        self.watch = watch
        context.output.say(
            "watching \(survey.root), \(Quantity.count(watch.watchedDirectories, "directory", plural: "directories"))")
        var isComplete = look(watch)
        while true {
            sayLimit(watch)
            switch try wait(watch, again: !isComplete) {
            case .stopped: return
            case .quiet, .changed:
                guard Files.isDirectory(survey.root) else {
                    throw DFSError(
                        .noReference, "\(survey.root) is gone", hint: "ls -ld \(ShellText.quote(survey.root))")
                }
                isComplete = look(watch)
            }
        }
    }

    /// Until the tree has changed and is at rest, or has to be looked at again.
    private func wait(_ watch: TreeWatch, again: Bool) throws(DFSError) -> TreeWatch.Answer {
        let isPolling = watch.limit != nil
        let first = try watch.wait(milliseconds: again ? Self.quiet : isPolling ? pause : -1, stop: stop)
        guard first == .changed else { return first }
        let began = Clock.monotonic()
        while Clock.monotonic() - began < UInt64(Self.longest) * 1_000_000 {
            let next = try watch.wait(milliseconds: Self.quiet, stop: stop)
            if next != .changed { return next == .stopped ? .stopped : .changed }
        }
        return .changed
    }

    /// Records what is there. `false` when it could not be: something was changing, or a secret is in the way.
    private func look(_ watch: TreeWatch) -> Bool {
        let began = Clock.monotonic()
        defer { pause = max(Self.polling, Int((Clock.monotonic() - began) / 1_000_000) * Self.pollingFactor) }
        do throws(DFSError) {
            let code = try capture.record(from: start, by: signer)
            watch.update(code.survey.exclusions)
            lastProblem = nil
            let isOther = code.snapshot != lastSnapshot && lastSnapshot != nil
            lastSnapshot = code.snapshot
            if code.isNew || isOther {
                try context.output.report(CaptureReport(code: code, changes: try SnapshotChanges(code, repository)))
                try context.output.flush()
            }
            return true
        } catch {
            // Said once; files that come and go while they are read are no news.
            if error.what != lastProblem, error.errno != ENOENT {
                context.output.warn([error.what, error.cause].compactMap { $0 }.joined(separator: ": "))
            }
            lastProblem = error.what
            // A secret stays until somebody changes something.
            return error.code == .refused && error.errno == nil && !error.what.contains("changed while")
        }
    }

    private func sayLimit(_ watch: TreeWatch) {
        guard let limit = watch.limit, !saidLimit else { return }
        saidLimit = true
        context.output.warn(
            "\(limit): the tree is looked at every few seconds; sysctl fs.inotify.max_user_watches=1048576")
    }
}
