import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSVirtual
import Glibc

/// What a job sees, and how it is told.
struct RunView {
    let plan: RunPlan
    let live: LiveRun
    let environment: ProcessEnvironment
    /// Where the store is mounted on the host; `nil` without FUSE.
    let history: String?
    /// Data that needs no FUSE.
    var serving = DataServing()
    var denials = Denials()
    /// What stands over mounts of the host that would show what is denied.
    var hostCovers: [EnterPlan.Step] = []
    /// Copies that stand in for the mount.
    var copiedData: [String: String] = [:]
    var copiedCode: String?
    /// A frozen environment at its old place: made after the project, which it may lie in, and before the data.
    var environmentSteps: [EnterPlan.Step] = []
    /// Of the further roots, in their order.
    var copiedRoots: [String] = []
    let cacheRoot: String

    static let deepops = "/deepops"
    /// What the processes of a run see and no others.
    static func mark(of run: RunID) -> JobProcesses.Mark { .init(link: deepops + "/self", target: "runs/\(run)") }
    private static let visibleLimit = 512
    static let otherRuns = 1000

    var isNamespaced: Bool { plan.capabilities.namespace != .none }
    /// Where the job finds its run.
    var runDirectory: String { isNamespaced ? "\(Self.deepops)/runs/\(plan.run)" : live.root }
    var dataDirectory: String { isNamespaced ? runDirectory + "/data" : live.scratch + "/data" }
    var outputs: String { runDirectory + "/outputs" }
    var metrics: String { isNamespaced ? runDirectory + "/metrics.jsonl" : live.metrics }

    /// `sealed` where the kernel serves all data by itself, `fuse`, or `copy` where there was no other way.
    var served: String { serving.isSealed ? "sealed" : history != nil && isNamespaced ? "fuse" : "copy" }
    var workKind: String { plan.request.inPlace ? "in-place" : copiedCode != nil || !isNamespaced ? "copy" : "overlay" }

    var placeholders: Placeholders {
        var values = ["data": dataDirectory, "outputs": outputs, "run": plan.run.description]
        for input in plan.inputs { values["data:" + input.key] = dataDirectory + "/" + input.key }
        return Placeholders(values: values)
    }

    var workingDirectory: String {
        let here = environment.directory ?? plan.survey.root
        guard !isNamespaced, !plan.request.inPlace, here.hasPrefix(plan.survey.root) else { return here }
        return live.work + here.dropFirst(plan.survey.root.count)
    }

    /// The job's environment: the caller's, and what tells it of the run.
    var variables: [String: String] {
        var out = environment.variables
        out["DFS_RUN_ID"] = plan.run.description
        out["DFS_RUN_DIR"] = runDirectory
        out["DFS_DATA"] = dataDirectory
        for input in plan.inputs { out[input.variable] = dataDirectory + "/" + input.key }
        out["DFS_CODE"] = isNamespaced ? runDirectory + "/code" : live.work
        out["DFS_OUTPUTS"] = outputs
        out["DFS_METRICS"] = metrics
        out["DFS_SEED"] = String(plan.seed)
        // Both libraries write beside their data unless told otherwise, and the data is read-only.
        if out["HF_DATASETS_CACHE"] == nil { out["HF_DATASETS_CACHE"] = cacheRoot + "/huggingface" }
        if out["HDF5_USE_FILE_LOCKING"] == nil { out["HDF5_USE_FILE_LOCKING"] = "FALSE" }
        return out
    }

    // MARK: The plan for the kernel

    func enterPlan(otherRuns: [RunID]) -> EnterPlan {
        let words = plan.request.expands ? plan.request.command.map { placeholders.expand($0) } : plan.request.command
        var enter = EnterPlan(
            namespace: plan.capabilities.namespace, uid: getuid(), gid: getgid(),
            workingDirectory: RawPath(workingDirectory),
            environment: variables.map { ArgumentText.bytes(of: $0.key + "=" + $0.value) },
            arguments: words.map { ArgumentText.bytes(of: $0) })
        enter.standardOutput = RawPath(live.standardOutput)
        enter.standardError = RawPath(live.standardError)
        if isNamespaced {
            // What lies in something else comes after it.
            let code = rootSteps(around: true) + projectSteps() + rootSteps(around: false)
            enter.steps = skeleton(otherRuns) + code + environmentSteps + dataPaths() + deniedSteps
        }
        return enter
    }

    private func dataSource(_ input: DataInput) -> RawPath {
        if let base = serving.base(input.key) { return RawPath(base) }
        if let copy = copiedData[input.key] { return RawPath(copy) }
        return RawPath("\(history ?? "")/datasets/\(input.dataset)/v\(input.version.number)")
    }

    private func skeleton(_ otherRuns: [RunID]) -> [EnterPlan.Step] {
        let root = Self.deepops
        var steps: [EnterPlan.Step] = [
            .skeleton(at: RawPath(root)), .directory(RawPath(runDirectory)), .directory(RawPath(dataDirectory)),
            .symlink(RawPath(root + "/self"), target: Array("runs/\(plan.run)".utf8)),
            .bind(source: RawPath(live.outputs), at: RawPath(outputs), .writable),
            .bind(source: RawPath(live.metrics), at: RawPath(metrics), .writable),
            .bind(source: RawPath(live.logs), at: RawPath(runDirectory + "/logs"), .readOnly),
        ]
        for input in plan.inputs {
            steps.append(.bind(source: dataSource(input), at: RawPath(dataDirectory + "/" + input.key), .readOnly))
        }
        if let code = codeSource {
            steps.append(.bind(source: code, at: RawPath(runDirectory + "/code"), .readOnly))
        }
        guard let history else { return steps }
        steps.append(.bind(source: RawPath(history), at: RawPath(root + "/history"), .readOnly))
        for name in ["datasets", "code", ".dfs"] {
            steps.append(.symlink(RawPath("\(root)/\(name)"), target: Array("history/\(name)".utf8)))
        }
        for run in otherRuns.suffix(Self.otherRuns) where run != plan.run {
            steps.append(.symlink(RawPath("\(root)/runs/\(run)"), target: Array("../history/runs/\(run)".utf8)))
        }
        return steps
    }

    private var codeSource: RawPath? {
        if let history { return RawPath("\(history)/code/\(plan.project)/\(plan.snapshot)") }
        return copiedCode.map { RawPath($0) }
    }

    /// Each further root at its own place, as the project's directory is; what the job writes there is thrown away. A job in
    /// place sees them as they are.
    private func rootSteps(around: Bool) -> [EnterPlan.Step] {
        guard !plan.request.inPlace else { return [] }
        return plan.roots.enumerated().flatMap { number, root -> [EnterPlan.Step] in
            guard plan.survey.root.hasPrefix(root.survey.root + "/") == around else { return [] }
            let at = RawPath(root.survey.root)
            var steps = [EnterPlan.Step]()
            if copiedRoots.indices.contains(number) {
                steps.append(.bind(source: RawPath(copiedRoots[number]), at: at, .scratch))
            } else if let history {
                let lower = RawPath("\(history)/code/\(root.project)/\(root.snapshot)")
                steps.append(.overlay(at: at, lower: [lower], layer: RawPath(live.rootLayer(number))))
            }
            if !plan.request.strict, Files.isDirectory(root.survey.root) {
                steps.append(.visible(real: at, at: at, paths: Self.visiblePaths(root.survey.excluded)))
            }
            return steps
        }
    }

    private func projectSteps() -> [EnterPlan.Step] {
        let root = RawPath(plan.survey.root)
        if plan.request.inPlace {
            // The directory stays the job's to write in: what is missing there for data to appear at is an error, no
            // reason to put a mirror in its place.
            let hasPaths = plan.inputs.contains { $0.path != nil }
            return hasPaths ? [.bind(source: root, at: root, .writable)] : []
        }
        var steps = [EnterPlan.Step]()
        if let copiedCode {
            steps.append(.bind(source: RawPath(copiedCode), at: root, .scratch))
        } else if let lower = codeSource {
            steps.append(.overlay(at: root, lower: [lower], layer: RawPath(live.layer)))
        }
        // On another machine, or later, there may be no such directory.
        if !plan.request.strict, Files.isDirectory(plan.survey.root) {
            steps.append(.visible(real: root, at: root, paths: Self.visiblePaths(plan.survey.excluded)))
        }
        return steps
    }

    /// What of the real project shows read-only through the snapshot: what is ignored or too large to record, directories
    /// first.
    static func visiblePaths(_ excluded: [ExcludedPath]) -> [[UInt8]] {
        let shown = excluded.filter(isShown)
        return (shown.filter(\.isDirectory) + shown.filter { !$0.isDirectory }).prefix(visibleLimit).map(\.path)
    }

    /// Python's caches would hide the job's own, and this program's could not be written to by libraries of the job.
    private static func isShown(_ path: ExcludedPath) -> Bool { !path.isPythonCache && path.reason != .cache }

    /// How many paths of the real project do not show because there are too many.
    var hiddenPaths: Int {
        guard isNamespaced, !plan.request.inPlace, !plan.request.strict else { return 0 }
        return max(0, plan.survey.excluded.count(where: Self.isShown) - Self.visibleLimit)
    }

    private func dataPaths() -> [EnterPlan.Step] {
        plan.inputs.compactMap { input in
            input.path.map { .bind(source: dataSource(input), at: RawPath($0), .readOnly) }
        }
    }
}
