import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Checks the ledger with its texts, and everything that chosen runs reach: what `dfs audit verify` does, in the scope of
/// tools/verify.py. Trusts neither the host's index nor anything read before.
package struct Audit {
    package struct Report: Sendable {
        package var ledger: LedgerReport
        package var texts = 0
        package var objects = 0
        /// One sentence each, with the place.
        package var problems: [String] = []
    }

    package enum Scope: Sendable {
        case ledger
        case run(RunID)
        case allRuns
    }

    private let repository: Repository
    private let progress: Counter

    /// `progress` counts bytes of objects read.
    package init(repository: Repository, progress: Counter = Counter()) {
        self.repository = repository
        self.progress = progress
    }

    package func run(_ scope: Scope) throws(DFSError) -> Report {
        let backend = repository.backend
        guard let bytes = try backend.get(StoreDescription.key, limit: 1 << 20) else {
            throw DFSError(.noStore, "\(repository.root) lost its \(StoreDescription.key)")
        }
        let objects = AuditedObjects(repository: repository, progress: progress)
        let events = try EventList(backend: backend)
        let verifier = LedgerVerifier(backend: backend, store: repository.id, storeFileDigest: Digest.of(bytes))
        let ledger = try verifier.verify(texts: { digest throws(DFSError) in
            let packs = events.packs(ofText: digest)
            return try objects.fetchIfPresent(digest, among: packs)
        })
        var report = Report(ledger: ledger)
        report.texts = events.texts
        for finding in ledger.problems {
            let place = finding.sequence == 0 ? "ledger" : "ledger entry \(finding.sequence)"
            report.problems.append("\(place): \(finding.what)")
        }
        for stray in ledger.strays { report.problems.append("\(stray) is no ledger entry") }
        var content = ContentAudit(
            objects: objects, events: events, maximum: repository.description.parameters.chunk.maximum)
        switch scope {
        case .ledger: break
        case .run(let id): content.check(run: id)
        case .allRuns: for id in events.runs { content.check(run: id) }
        }
        report.problems += content.problems + objects.problems
        report.objects = objects.checked.count
        return report
    }
}

/// All events of a ledger as they stand in its files, readable entries only; the verifier reports the others.
struct EventList {
    struct Recording: Sendable {
        let sequence: UInt64
        let kind: String
        let json: JSONValue
    }

    private(set) var recordings = [Recording]()
    /// In the order in which they started.
    private(set) var runs = [RunID]()
    /// Events that commit to a text.
    private(set) var texts = 0
    /// The metadata pack of the first event that names a pack set.
    private(set) var homes = [Digest: PackID]()
    private var textPacks = [Digest: PackID]()
    /// What stands in for each condemned pack.
    private var replacements = [PackID: [PackID]]()

    init(backend: any Backend) throws(DFSError) {
        for key in try backend.list("ledger/") {
            guard let bytes = try? backend.get(key, limit: LedgerEntry.byteLimit),
                let entry = try? LedgerEntry.parse(bytes)
            else { continue }
            for event in entry.events { add(event, entry.sequence) }
        }
    }

    private mutating func add(_ event: JSONValue, _ sequence: UInt64) {
        let kind = event["kind"]?.string ?? ""
        if case .packsCondemned(let condemned)? = try? LedgerEvent(json: event) {
            for pack in condemned.packs { replacements[pack] = condemned.replacements[pack] ?? [] }
        }
        let pack = event["pack"]?.digest.map { PackID($0) }
        if let text = event["text"]?.digest {
            texts += 1
            if let pack { textPacks[text] = pack }
        }
        guard let pack else { return }
        if let set = event["packs"]?.digest, homes[set] == nil { homes[set] = pack }
        recordings.append(Recording(sequence: sequence, kind: kind, json: event))
        if kind == "run.started", let run = event["run"]?.string.flatMap({ RunID($0) }) { runs.append(run) }
    }

    /// The metadata packs that events name, as things stand.
    var standingPacks: Set<PackID> {
        Set(standing(Set(recordings.compactMap { $0.json["pack"]?.digest.map { PackID($0) } })))
    }

    /// Those of `packs` that are not condemned, in their order, then what stands in for the others.
    func standing(_ packs: some Sequence<PackID>) -> [PackID] {
        var out = [PackID](), open = Array(packs), seen = Set<PackID>()
        while !open.isEmpty {
            var next = [PackID]()
            for pack in open where seen.insert(pack).inserted {
                if let replacing = replacements[pack] { next += replacing } else { out.append(pack) }
            }
            open = next
        }
        return out
    }

    /// Where the text may lie: the pack of its event, or any, when the event has none.
    func packs(ofText digest: Digest) -> [PackID] {
        standing(textPacks[digest].map { [$0] } ?? Set(homes.values).sorted())
    }
}
