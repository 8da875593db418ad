import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// Records the environment of a run as one tree laid out by absolute path (`home/u/venv/…`, `usr/lib/…`), and says so in the
/// ledger: `run.annotated` with the name `environment` and a record `dfs.environment/1` (FORMAT.md §8.6).
package struct Freeze {
    package let repository: Repository
    package let run: RunID
    /// Larger environments are frozen in part, and parts that do not fit are named.
    package var limit: UInt64
    package var threads = 1
    /// What no environment holds.
    package var bounds = EnvironmentBounds()
    /// When the run began; `nil`: nothing is known of what has changed since.
    package var began: Timestamp?
    /// What the run had from another one's environment, put over this machine's; that one has it recorded.
    package var lent: [String] = []

    package init(repository: Repository, run: RunID, limit: UInt64) {
        self.repository = repository
        self.run = run
        self.limit = limit
    }

    package struct Outcome: Sendable {
        package let tree: TreeReference?
        package let isComplete: Bool
        package let storedBytes: Int
        package let filesRead: Int
    }

    /// A part that exists here, where it really is.
    private struct Place {
        let part: EnvironmentPart
        let real: String
        var size: EnvironmentSize?
        var problem: String?
    }

    /// What is to be frozen, and what is not because the run's record has it.
    private struct Found {
        let places: [Place]
        let recorded: [(path: String, as: String)]
    }

    /// What has come of it.
    private struct Taken {
        let result: CaptureResult
        /// By path: secrets that were left out, which is no gap.
        let secrets: [[UInt8]: String]
        /// By path: what may not be as the run had it.
        let changed: [[UInt8]: String]

        var unread: [(path: [UInt8], reason: String)] { result.notes.unread.filter { secrets[$0.path] == nil } }
    }

    /// Freezes `parts`, and of the files that were `mapped` those in none of them. One at a time on this host for the same parts: the second finds all of it stored.
    package func run(
        parts: [EnvironmentPart], mapped: [String], by signer: any Signer
    ) throws(DFSError) -> Outcome {
        let divided = bounds.divide(parts)
        let parts = divided.taken
        let files = bounds.divide(EnvironmentParts.libraries(mapped, besides: parts))
        let scope = Self.scope(parts)
        let ground = try FreezeGround(repository: repository, scope: scope)
        // What was far from the limit last time is not counted again.
        let before = FreezeGround.latest(repository, scope, in: try repository.state())?.tree?.bytes
        let refused = (divided.refused + files.refused).map { part, reason in
            Place(part: part, real: Files.resolved(part.path) ?? part.path, problem: reason)
        }
        let places = places(parts + files.taken, counting: before.map { $0 > limit / 2 } ?? true) + refused
        let found = Found(places: places, recorded: divided.recorded + files.recorded)
        return try withExtendedLifetime(ground) { () throws(DFSError) in
            try repository.storingAgain("the environment of run \(run)") { state throws(DFSError) in
                try attempt(found, scope, ground, state, signer)
            }
        }
    }

    /// Keeps what is known of the files of some parts apart from what is known of others'.
    static func scope(_ parts: [EnvironmentPart]) -> String {
        "environment/" + parts.map(\.path).sorted().joined(separator: "\n")
    }

    // MARK: What there is

    private func places(_ parts: [EnvironmentPart], counting: Bool) -> [Place] {
        var places = [Place](), room = limit
        // In this order, so that what does not fit is what matters least: parts come before libraries.
        for part in parts {
            guard let real = Files.resolved(part.path) else {
                places.append(Place(part: part, real: part.path, problem: "it is not there any more"))
                continue
            }
            var place = Place(part: part, real: real)
            if lent.contains(part.path) || lent.contains(real) {
                place.problem = "the run had it from the environment of another, which it names"
                places.append(place)
                continue
            }
            guard counting else {
                places.append(place)
                continue
            }
            let size = EnvironmentSize(of: real, filter: filter([real]), limit: limit)
            place.size = size
            if size.bytes > room {
                let bound = size.bytes > limit ? "more than " : ""
                place.problem =
                    "it holds \(bound)\(ByteCount(min(size.bytes, limit))), and of \(ByteCount(limit)) \(ByteCount(room)) are left"
            } else {
                room -= size.bytes
            }
            places.append(place)
        }
        return places
    }

    /// Below conda's root there are other environments and what was downloaded for them.
    private static let foreign = ["pkgs", "envs"]

    private func leftOut(_ roots: [String]) -> [String] {
        let conda = roots.filter { Files.isDirectory($0 + "/conda-meta") }
        return bounds.withheld
            + conda.flatMap { root in Self.foreign.map { root + "/" + $0 }.filter { Files.isDirectory($0) } }
    }

    private func filter(_ roots: [String]) -> EnvironmentFilter {
        EnvironmentFilter(paths: roots, leftOut: leftOut(roots))
    }

    // MARK: Storing

    private func attempt(
        _ found: Found, _ scope: String, _ ground: FreezeGround, _ state: LedgerState, _ signer: any Signer
    ) throws(DFSError) -> Outcome? {
        let taken = found.places.filter { $0.problem == nil }.map(\.real)
        let writer = StoreWriter(store: repository.objects)
        guard !taken.isEmpty else {
            let annotation = Annotation(repository: repository, run: run, name: RunAnnotation.environment)
            try annotation.append(record(found, nil), by: signer)
            writer.abandon()
            return Outcome(tree: nil, isComplete: false, storedBytes: 0, filesRead: 0)
        }
        let latest = FreezeGround.latest(repository, scope, in: state)
        let cache = try repository.statCache(scope: scope, latest: latest?.record, in: state)
        let filter = filter(taken), omission = SecretOmission()
        var options = CaptureOptions(threads: threads, filter: filter, skipSpecial: true)
        options.leavesOutUnread = true
        options.inspector = omission
        let capture = Capture(
            root: "/", writer: writer, reader: repository.reader, cache: cache,
            previous: latest.flatMap { latest in latest.tree.map { TreeEntry.root($0, modified: latest.time) } },
            options: options)
        let result = try capture.run()
        let changes = began.map { EnvironmentChanges(repository: repository, run: run, began: $0) }
        let outcome = Taken(
            result: result, secrets: omission.omitted, changed: changes?.find(in: taken, filter: filter) ?? [:])
        let annotation = Annotation(repository: repository, run: run, name: RunAnnotation.environment)
        let made: (event: LedgerEvent.RunAnnotated, finished: StoreWriter.Finished)
        do throws(DFSError) {
            made = try annotation.event(
                record(found, outcome), text: nil, tree: result.summary,
                base: latest.map { ($0.record.packs, $0.record.pack) }, writer)
        } catch {
            writer.abandon()
            throw error
        }
        let before = [cache.rows, latest.map { EventPacks($0.record) }].compactMap { $0 }
        let recording = try repository.record(
            by: signer, relyingOn: Reliance(made.finished, events: before, began: state)
        ) { state throws(DFSError) in
            // The first that has a tree stands.
            state.run(run)?.environment == nil ? [.runAnnotated(made.event)] : nil
        }
        switch recording {
        case .condemned:
            writer.abandon()
            return nil
        case .nothing: writer.abandon()
        case .entry:
            repository.remember(made.finished)
            try? cache.write(result.updates, restingOn: made.event.record)
            ground.note(run)
        }
        return Outcome(
            tree: result.summary, isComplete: isComplete(found, outcome),
            storedBytes: writer.storedBytes.current, filesRead: options.progress.filesRead.current)
    }

    // MARK: The record

    private func isComplete(_ found: Found, _ taken: Taken) -> Bool {
        found.places.allSatisfy { $0.problem == nil } && taken.unread.isEmpty && taken.changed.isEmpty
    }

    private func record(_ found: Found, _ taken: Taken?) -> [String: JSONValue] {
        let places = found.places
        var record: [String: JSONValue] = [
            "complete": .bool(taken.map { isComplete(found, $0) } ?? false),
            "limit_bytes": .integer(Int64(clamping: limit)),
            "parts": .array(places.map(json)),
        ]
        if !found.recorded.isEmpty {
            record["recorded"] = .array(found.recorded.map { ["as": .string($0.as), "path": .string($0.path)] })
        }
        let leftOut = leftOut(places.filter { $0.problem == nil }.map(\.real)).filter { path in
            places.contains { $0.problem == nil && path.hasPrefix($0.real + "/") }
        }
        if !leftOut.isEmpty { record["left_out"] = .array(leftOut.map { .string($0) }) }
        guard let taken else {
            if places.isEmpty { record["failure"] = "all that it used of files is code or data" }
            return record
        }
        record["tree"] = taken.result.summary.json
        record["unread"] = Self.list(taken.unread)
        record["secrets"] = Self.list(taken.secrets.map { ($0.key, $0.value) })
        record["changed"] = Self.list(taken.changed.map { ($0.key, $0.value) })
        let special = taken.result.notes.special.sorted(by: ByteOrder.precedes)
        if !special.isEmpty {
            record["special"] = .array(special.prefix(1000).map { .string("/" + NameText.encode($0)) })
        }
        return record
    }

    /// `nil` of none. At most 1,000 are listed.
    private static func list(_ files: [(path: [UInt8], reason: String)]) -> JSONValue? {
        if files.isEmpty { return nil }
        let sorted = files.sorted { ByteOrder.precedes($0.path, $1.path) }
        return [
            "count": .integer(Int64(sorted.count)),
            "files": .array(
                sorted.prefix(1000).map {
                    ["path": .string("/" + NameText.encode($0.path)), "reason": .string($0.reason)]
                }),
        ]
    }

    private func json(_ place: Place) -> JSONValue {
        var members: [String: JSONValue] = [
            "kind": .string(place.part.kind.rawValue), "path": .string(place.part.path),
        ]
        if place.real != place.part.path { members["at"] = .string(place.real) }
        if let size = place.size {
            members["files"] = .integer(Int64(clamping: size.files))
            members["bytes"] = .integer(Int64(clamping: size.bytes))
        }
        if let problem = place.problem { members["missing"] = .string(problem) }
        return .object(members)
    }
}
