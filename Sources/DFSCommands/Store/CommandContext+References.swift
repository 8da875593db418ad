import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// What an argument names, resolved.
struct Target {
    let reference: Reference
    let resolved: Resolver.Resolved
}

/// Which version a name that moves, a time, or a part of a digest stood for.
enum Resolution {
    /// `faces@2d = faces@v3, recorded 2026-11-24T10:00:00Z`; `nil` where the argument says the version or chooses none.
    static func sentence(_ argument: String, _ reference: Reference, _ version: VersionRecord) -> String? {
        guard case .dataset(let name, let selector, _) = reference, let given = given(argument, selector) else {
            return nil
        }
        return "\(name)@\(given) = \(name)@v\(version.number), recorded \(version.time.short)"
    }

    static func sentence(_ argument: String, _ reference: Reference, _ snapshot: SnapshotRecord) -> String? {
        guard case .code(let project, let selector, _) = reference, selector != .snapshot(snapshot.id),
            let given = given(argument, selector)
        else { return nil }
        return "code:\(project)@\(given) = code:\(project)@\(snapshot.id), recorded \(snapshot.time.short)"
    }

    private static func given(_ argument: String, _ selector: Reference.Selector) -> String? {
        if case .version = selector { return nil }
        return selector == .latest && !argument.contains("@") ? nil : selector.description
    }
}

extension CommandContext {
    /// Reads and resolves an argument whose path may be any bytes.
    func resolve(_ argument: String, _ resolver: Resolver) throws(DFSError) -> Target {
        let reference = try Self.inLogs(try reference(argument, resolver.state))
        try Self.refuseDocument(reference)
        let resolved = try resolver.resolve(reference)
        switch resolved.subject {
        case .version(_, let version): tell(Resolution.sentence(argument, reference, version))
        case .snapshot(_, let snapshot): tell(Resolution.sentence(argument, reference, snapshot))
        case .run: break
        }
        return Target(reference: reference, resolved: resolved)
    }

    /// What `document` and `run(dataOf:)` answer is there, but has no tree.
    private static func refuseDocument(_ reference: Reference) throws(DFSError) {
        guard case .run(_, let path) = reference, path.count == 1 else { return }
        let command =
            switch String(decoding: path[0], as: UTF8.self) {
            case "record.json", "host.json", "status": "cat"
            case "data": "ls"
            default: nil as String?
            }
        guard let command else { return }
        throw DFSError(
            .usage, "\(reference) is not stored as it is shown", cause: "it is put together when it is asked for",
            hint: "dfs \(command) \(reference)")
    }

    private func tell(_ resolution: String?) { if let resolution { output.say(resolution) } }

    /// `run:ID/metrics.jsonl`, as the mount has it, lies among the logs.
    private static func inLogs(_ reference: Reference) throws(DFSError) -> Reference {
        guard case .run(_, let path) = reference, path == [Array("metrics.jsonl".utf8)] else { return reference }
        return reference.with(path: [Array("logs".utf8)] + path)
    }

    func reference(_ argument: String, _ state: LedgerState) throws(DFSError) -> Reference {
        try Reference.parse(ArgumentText.bytes(of: argument)) { state.datasets[$0] != nil }
    }

    /// The run that an argument names, `run:` or not; `nil` when it reads as something else. A dataset of that name wins
    /// where `run:` does not stand before it.
    func run(named argument: String, _ resolver: Resolver) throws(DFSError) -> RunRecord? {
        if argument.hasPrefix("run:") || argument.hasPrefix("dfs://run:") {
            guard case .run(let id, let path) = try reference(argument, resolver.state), path.isEmpty else {
                return nil
            }
            return try resolver.run(id)
        }
        guard resolver.state.datasets[argument] == nil, argument == "latest" || isRun(argument, resolver.state) else {
            return nil
        }
        return try resolver.run(argument)
    }

    /// The run of `run:ID/data`, which is no tree but holds one for each key.
    func run(dataOf argument: String, _ resolver: Resolver) throws(DFSError) -> RunRecord? {
        guard case .run(let id, let path) = try reference(argument, resolver.state), path == [Array("data".utf8)] else {
            return nil
        }
        return try resolver.run(id)
    }

    /// What the mount shows as `run:ID/record.json`, `host.json` and `status`, which are put together when asked for.
    func document(_ argument: String, _ resolver: Resolver) throws(DFSError) -> [UInt8]? {
        guard case .run(let id, let path) = try reference(argument, resolver.state), path.count == 1 else { return nil }
        let documents = RunDocuments(repository: resolver.repository)
        switch String(decoding: path[0], as: UTF8.self) {
        case "record.json": return try documents.record(of: try resolver.run(id)).canonicalBytes + [0x0a]
        case "host.json": return try documents.host(of: try resolver.run(id)).canonicalBytes + [0x0a]
        case "status": return Array((documents.status(of: try resolver.run(id)) + "\n").utf8)
        default: return nil
        }
    }

    private func isRun(_ argument: String, _ state: LedgerState) -> Bool { !state.runs(matching: argument).isEmpty }

    /// The run that an argument of a command for runs names.
    func run(_ argument: String, _ resolver: Resolver) throws(DFSError) -> RunRecord {
        let id = argument.hasPrefix("dfs://") ? String(argument.dropFirst(6)) : argument
        return try resolver.run(id.hasPrefix("run:") ? String(id.dropFirst(4)) : id)
    }

    /// Ends the records of runs of this machine whose launcher died, where the store can be written. A failure is only
    /// told: what was asked can be answered without.
    @discardableResult
    func closeDeadRuns(_ repository: Repository) -> [RunID] {
        do throws(DFSError) {
            let reaper = RunReaper(repository: repository)
            guard access(repository.root + "/ledger", W_OK) == 0, try reaper.hasDeadRuns() else { return [] }
            let views = try directories.views()
            let closed = try reaper.closeDeadRuns(
                by: try signer(),
                clear: { run, journal in
                    Self.endJob(of: run, journal)
                    if let place = journal["mountpoint"]?.string { ViewServer.clear(place, below: views) }
                }, prepare: Self.prepare)
            for run in closed { output.say("run \(run.short) was left by its launcher; it is recorded as interrupted") }
            return closed
        } catch {
            output.warn(
                "the records of dead runs cannot be closed: \(error.what)" + (error.cause.map { ": \($0)" } ?? ""))
            return []
        }
    }

    /// Ends what a dead launcher left of its job. After another boot nothing is.
    private static func endJob(of run: RunID, _ journal: JSONValue) {
        guard let namespace = journal["namespace"]?.string, let boot = journal["launcher"]?["boot"]?.string,
            (try? ProcessIdentity.own().boot) == boot
        else { return }
        try? JobProcesses.kill(in: namespace, seeing: RunView.mark(of: run))
    }

    /// Records what the launcher would have recorded.
    private static func prepare(_ seal: inout RunSeal, _ journal: JSONValue) {
        if let project = journal["project-directory"]?.string {
            seal.workFilter = WorkFilter(exclusions: nil, rules: WorkFilter.rules(project: project))
        }
        seal.maximumFileSize = journal["maximum-file"]?.integer.flatMap { UInt64(exactly: $0) }
    }
}

extension RunID {
    /// The last eight digits.
    var short: String { String(uuid.digits.suffix(8)) }
}

extension Digest {
    /// Enough digits to be a reference.
    var short: String { "sha256:" + hex.prefix(12) }
}

extension KeyID {
    /// Enough of the fingerprint to tell keys apart.
    var short: String { String(text.prefix(15)) }
}
