import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns

/// Compares this host with what a run is to be like, and refuses what is too far from it. Nothing has started by then, and
/// nothing is recorded.
struct DriftCheck {
    let context: CommandContext
    let resolver: Resolver
    /// `nil`: the project's latest run that succeeded.
    private let like: RunRecord?
    private let required: DriftClass?
    /// Whether the job gets the interpreter and packages of that run, whatever this machine has.
    private let hasEnvironment: Bool

    /// `nil` where nothing was asked for.
    init?(
        _ request: LaunchRequest, _ capabilities: Capabilities, _ context: CommandContext, _ resolver: Resolver
    ) throws(DFSError) {
        required = try request.require.map { name throws(DFSError) in
            try DriftClass.named(name, in: "the required class")
        }
        like = try request.like.map { name throws(DFSError) in try context.run(name, resolver) }
        guard required != nil || like != nil else { return nil }
        hasEnvironment = Self.hasEnvironment(request, capabilities)
        self.context = context
        self.resolver = resolver
    }

    /// Without a namespace nothing can be mounted, and what is incomplete is in part this machine's.
    static func hasEnvironment(_ request: LaunchRequest, _ capabilities: Capabilities) -> Bool {
        capabilities.namespace != .none && request.environmentMounts?.givesPython == true
    }

    /// What was found, for the plan's record.
    struct Finding: Sendable {
        /// `nil`: there was no run to compare with.
        let against: RunID?
        let report: DriftReport?
        let required: DriftClass?

        /// More facts than these are counted only.
        private static let recordedFacts = 200

        /// `drift` in the plan (FORMAT.md §8.3).
        var json: JSONValue {
            var members = report?.json(limit: Self.recordedFacts) ?? [:]
            members["against"] = against.map { .string($0.description) } ?? .null
            members["required"] = required.map { .string($0.rawValue) } ?? .null
            return .object(members)
        }
    }

    func run(project: String, host: HostRecord) throws(DFSError) -> Finding {
        guard let then = like ?? latest(of: project) else {
            context.output.say(
                "host: nothing to compare with, as no run of \(project) has succeeded yet (\(required?.rawValue ?? "") is required)"
            )
            return Finding(against: nil, report: nil, required: required)
        }
        let record = try RunHost.record(of: then, resolver.repository)
        let report = HostComparison.compare(
            then: record, now: hasEnvironment ? Self.adopting(record, in: host.value) : host.value)
        let origin = like == nil ? ", the latest of \(project) that succeeded" : ""
        let allowed = required ?? .crossNumerics
        guard report.driftClass <= allowed else {
            throw DFSError(
                .drift, "this host is \(report.driftClass.rawValue) with run:\(then.id.short)\(origin)",
                cause: "\(allowed.rawValue) is required; " + Self.words(report),
                hint: "dfs host diff run:\(then.id.short)")
        }
        context.output.say("host as of run:\(then.id.short)\(origin): \(report.summary)")
        return Finding(against: then.id, report: report, required: required)
    }

    /// `now` with the Python of `then`, which is mounted in the run.
    static func adopting(_ then: JSONValue, in now: JSONValue) -> JSONValue {
        guard let python = then["stable"]?["python"], let stable = now["stable"] else { return now }
        return now.setting("stable", stable.setting("python", python))
    }

    private func latest(of project: String) -> RunRecord? {
        resolver.state.runs.last { $0.project == project && $0.outcome == .succeeded }
    }

    /// The worst facts, as many as fit on a line.
    private static func words(_ report: DriftReport) -> String {
        let worst = report.facts.filter { $0.driftClass == report.driftClass }
        func text(_ value: JSONValue) -> String { value["none"] == nil ? DriftRow.text(value) : "absent" }
        let words = worst.prefix(2).map { "\($0.name) was \(text($0.then)) and is \(text($0.now))" }
        return words.joined(separator: "; ") + (worst.count > 2 ? "; and \(worst.count - 2) more" : "")
    }
}
