import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// Records which versioned files a run opens: what the kernel tells of sealed data, and what the view's FUSE server notes of
/// everything else. At the end both become a statement (`AccessStatement`).
final class AccessWitness: RunWitness {
    let name = "access"
    private let plan: RunPlan
    private let live: LiveRun
    private let repository: Repository
    private let server: ViewServer

    private var served: [AccessCoverage.Served] = []
    /// Where sealed data is in the view.
    private var sealed: [(path: String, source: AccessSource, files: UInt64)] = []
    private var code = AccessCoverage.Code(monitor: "none")
    private var recorder: OpenRecorder?
    private var watch: OpenWatch?
    /// What was seen could not be told from what was not.
    private var failure: DFSError?
    private var namespace: OwnedDescriptor?
    private var isStarted = false
    private var statement: AccessStatement?
    private var problem: DFSError?

    init(plan: RunPlan, live: LiveRun, repository: Repository, server: ViewServer) {
        self.plan = plan
        self.live = live
        self.repository = repository
        self.server = server
    }

    private var isOff: Bool { !plan.request.recordsAccess && plan.request.deny.isEmpty }

    /// How the data of the view is served.
    func serves(_ view: RunView) {
        if isOff { return }
        servesCode(view)
        for input in plan.inputs {
            let source = AccessSource.dataset(input.dataset, version: input.version.number)
            let places = [view.dataDirectory + "/" + input.key] + [input.path].compactMap { $0 }
            let (way, monitor, reason): (String, String, String?) =
                if view.serving.base(input.key) != nil {
                    ("sealed", "fanotify", nil)
                } else if view.copiedData[input.key] != nil {
                    ("copy", "none", "it is a copy, and nothing tells of its opens")
                } else {
                    ("fuse", "fuse", nil)
                }
            if way == "sealed" { sealed += places.map { ($0, source, input.version.tree.files) } }
            let isAsked = plan.request.recordsAccess
            served.append(
                AccessCoverage.Served(
                    key: input.key, dataset: input.dataset, version: input.version.number,
                    files: input.version.tree.files, way: way, monitor: isAsked ? monitor : "none",
                    reason: isAsked ? reason : "--no-access"))
        }
    }

    /// Where the code comes from: at first, and when a writable layer was refused.
    func servesCode(_ view: RunView) {
        let isAsked = plan.request.recordsAccess
        let reason: String? =
            if !isAsked {
                "--no-access"
            } else if view.copiedCode != nil || !view.isNamespaced || view.history == nil {
                "it is a copy"
            } else {
                plan.request.inPlace ? "the job runs in the real directory" : nil
            }
        code = AccessCoverage.Code(monitor: reason == nil ? "fuse" : "none", reason: reason)
    }

    func prepare(_ plan: inout EnterPlan) {
        guard !isOff else { return }
        defer {
            recorder?.append(["code": code.json])
            recorder?.write()
        }
        guard recorder == nil else { return plan.waits = plan.waits || watch != nil }
        if !sealed.isEmpty, self.plan.request.recordsAccess {
            do throws(DFSError) {
                watch = try OpenWatch()
                plan.waits = true
            } catch {
                unwatched(error)
            }
        }
        let log = AccessLog(
            path: live.evidence + "/" + AccessLogName.launcher,
            header: [
                "monitor": "launcher", "data": .array(served.map(\.json)), "pid": .integer(Int64(getpid())),
                "started": .integer(Clock.now().nanosecondsSince1970),
            ])
        recorder = OpenRecorder(log: log)
    }

    /// Sealed data is served, and nobody tells of its opens.
    private func unwatched(_ error: DFSError) {
        watch = nil
        served = served.map { one in
            guard one.monitor == "fanotify" else { return one }
            var one = one
            one.monitor = "none"
            one.reason = "\(error.what): \(error.cause ?? "unknown")"
            return one
        }
    }

    func ready(pid: Int32) {
        guard let watch, let recorder else { return }
        do throws(DFSError) {
            var places = [OpenRecorder.Place]()
            for (path, source, files) in sealed {
                let real = try watch.add(mountAt: RawPath(path), of: pid)
                places.append(OpenRecorder.Place(path: real, source: source, files: files))
            }
            recorder.watch(places)
            // Files have paths as long as their mounts hang in a namespace.
            namespace = try OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY)
            if !isStarted { try watch.start(Receiver(recorder, watch)) }
            isStarted = true
        } catch { failure = error }
    }

    private final class Receiver: OpenWatch.Receiver {
        private let recorder: OpenRecorder
        private weak let watch: OpenWatch?

        init(_ recorder: OpenRecorder, _ watch: OpenWatch) {
            self.recorder = recorder
            self.watch = watch
        }

        func opened(_ path: UnsafeRawBufferPointer, at time: Timestamp) { recorder.note(path, at: time) }

        func paused() {
            recorder.write()
            // Even a mark that says "not this one" costs an open something.
            if recorder.isComplete { watch?.askNoMore() }
        }
    }

    func ended() {
        if isOff { return }
        finishWatch()
        // What it has noted is written when it has ended.
        server.stop()
        do throws(DFSError) {
            let state = try repository.state()
            guard let run = state.run(plan.run) else { return }
            let statement = try AccessStatement(
                of: run, folder: live.evidence, repository: repository, state: state, ended: Clock.now())
            try statement.write(folder: live.evidence)
            self.statement = statement
            // It holds all that they do.
            for name in AccessLogName.all { try? Files.remove(live.evidence + "/" + name) }
        } catch { problem = error }
    }

    private func finishWatch() {
        guard let recorder else { return }
        let ending = isStarted ? watch?.finish() : nil
        namespace = nil
        let isMissed = failure != nil && watch != nil
        recorder.end(
            lost: (ending?.lost ?? 0) + (isMissed ? 1 : 0),
            reason: failure.map { "\($0.what): \($0.cause ?? "unknown")" } ?? ending?.reason)
    }

    var summary: JSONValue {
        if isOff { return ["none": "--no-access"] }
        if let problem { return ["unknown": .string(problem.what + (problem.cause.map { ": " + $0 } ?? ""))] }
        return statement?.summary ?? ["unknown": "no statement was made"]
    }

    var words: String? {
        guard let attempts = statement?.trace.attempts, attempts > 0 else { return nil }
        return "denied: \(Quantity.count(attempts, "attempt"))"
    }
}
