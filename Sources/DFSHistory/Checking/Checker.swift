import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Synchronization

/// Checks a store against its formats and its ledger: what `dfs verify` does.
///
/// Trusts nothing of the host's index but as a place to look first: every object is checked against its digest.
package final class Checker: Sendable {
    package struct Problem: Sendable, Hashable {
        package let what: String
        /// Versions, snapshots and runs that need what is damaged, and paths in them.
        package var affects: [String] = []
    }

    package struct Report: Sendable {
        package var entries = 0
        package var packs = 0
        package var objects = 0
        package var bytes = 0
        package var problems: [Problem] = []
        /// Packs that no entry names: left by interrupted commits, or somebody's commit in progress.
        package var unreferenced = 0
    }

    private let repository: Repository
    private let threads: Int
    private let packChecker: PackChecker
    /// Bytes read so far, for a progress display.
    package var bytes: Counter { packChecker.bytes }

    /// `bytes` counts what is read.
    package init(repository: Repository, threads: Int = Workers.processorCount, bytes: Counter = Counter()) {
        self.repository = repository
        self.threads = threads
        packChecker = PackChecker(store: repository.objects, bytes: bytes)
    }

    /// Looks at the ledger, every pack that an entry names, and every tree. With `data`, at every byte; with `files`, also at
    /// the digest of every file that has a recipe.
    package func run(data: Bool, files: Bool = false) throws(DFSError) -> Report {
        var report = Report()
        // This host may never have seen these packs; texts are looked for in them while the ledger is read.
        learn(try EventList(backend: repository.backend).standingPacks)
        let state = try ledger(&report)
        var packs = Set<PackID>()
        for set in state.packSets {
            do {
                packs.formUnion(try packSet(set, state))
            } catch {
                report.problems.append(problem(error, "entry \(set.sequence)"))
                packs.formUnion(state.condemnations.standing([set.pack]))
            }
        }
        report.packs = packs.count
        learn(packs)
        let findings = try packChecker.check(packs.sorted(), data: data, threads: threads)
        report.bytes = packChecker.bytes.current
        var trees = TreeCheck(
            repository: repository, damaged: Set(findings.flatMap(\.damaged)), files: files)
        for subject in subjects(state) {
            trees.check(subject.tree, subject.name, packs: try? repository.packs(of: subject.record, in: state))
        }
        report.objects = trees.objects
        for finding in findings {
            report.problems.append(Problem(what: finding.what, affects: trees.affected(by: finding.damaged)))
        }
        report.problems += trees.problems
        report.unreferenced = try unreferenced(packs, state)
        return report
    }

    /// Takes in the tables that are sound; the others are found out one by one.
    private func learn(_ packs: Set<PackID>) {
        for pack in packs { try? repository.objects.learn([pack]) }
    }

    private func ledger(_ report: inout Report) throws(DFSError) -> LedgerState {
        guard let bytes = try repository.backend.get(StoreDescription.key, limit: 1 << 20) else {
            throw DFSError(.noStore, "\(repository.root) lost its \(StoreDescription.key)")
        }
        let verifier = LedgerVerifier(
            backend: repository.backend, store: repository.id, storeFileDigest: Digest.of(bytes))
        let ledger = try verifier.verify(texts: { digest throws(DFSError) in
            do { return try self.repository.objects.object(ObjectAddress(digest), what: "a text") } catch {
                return nil
            }
        })
        report.entries = ledger.entries
        for finding in ledger.problems {
            let place = finding.sequence == 0 ? "ledger" : "ledger entry \(finding.sequence)"
            report.problems.append(Problem(what: "\(place): \(finding.what)"))
        }
        for stray in ledger.strays { report.problems.append(Problem(what: "\(stray) is no ledger entry")) }
        return ledger.state
    }

    /// Reads a pack set without trusting what was read of it before.
    private func packSet(_ mark: PackSetMark, _ state: LedgerState) throws(DFSError) -> Set<PackID> {
        try repository.objects.learn(state.condemnations.standing([mark.pack]).sorted())
        let set = try PackSet.decode(try repository.objects.object(mark.packs, what: "a pack set"))
        return state.condemnations.standing(set.added + [mark.pack])
    }

    private typealias Subject = (tree: TreeReference, name: String, record: RecordReference)

    private func subjects(_ state: LedgerState) -> [Subject] {
        var out = [Subject]()
        for name in state.datasetNames {
            let versions = state.datasets[name]?.versions ?? RecordList()
            for version in versions where state.keeps(version, of: name) {
                out.append((version.tree, "\(name)@v\(version.number)", version.record))
            }
        }
        for name in state.projectNames {
            for snapshot in state.projects[name]?.snapshots ?? RecordList() {
                out.append((snapshot.tree, "code:\(name)@\(snapshot.id)", snapshot.record))
            }
        }
        for run in state.runs {
            guard let end = run.end else { continue }
            for (part, tree) in [("outputs", end.outputs), ("work", end.work), ("logs", end.logs)] {
                if let tree { out.append((tree, "run:\(run.id)/\(part)", end.record)) }
            }
        }
        return out
    }

    private func unreferenced(_ packs: Set<PackID>, _ state: LedgerState) throws(DFSError) -> Int {
        let keys = try repository.backend.list("packs/").filter { $0.hasSuffix(".idx") }
        let condemned = state.condemnations.all.flatMap(\.packs)
        let known = Set((packs + condemned).map { PackIndex.indexKey($0) })
        return keys.count { !known.contains($0) }
    }

    private func problem(_ error: DFSError, _ place: String) -> Problem {
        Problem(what: "\(place): \(error.what)" + (error.cause.map { ": \($0)" } ?? ""), affects: [place])
    }
}
