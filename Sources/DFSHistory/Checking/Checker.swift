import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Synchronization

/// Checks a store against its formats and its ledger: what `dfs verify` does.
///
/// Trusts nothing of the host's index: where objects lie is what the packs' own tables say (`ObjectTable`), every object is
/// checked against its digest.
package final class Checker: Sendable {
    package struct Problem: Sendable, Hashable {
        package let what: String
        /// Versions, snapshots and runs that need what is damaged, and paths in them.
        package var affects: [String] = []
        /// How many more there are.
        package var more = 0

        package init(what: String, affects: [String] = [], more: Int = 0) {
            self.what = what
            self.affects = affects
            self.more = more
        }
    }

    package struct Report: Sendable {
        package var entries = 0
        package var packs = 0
        package var objects = 0
        package var bytes = 0
        package var problems: [Problem] = []
        /// Packs that no entry names: left by interrupted commits, or somebody's commit in progress.
        package var unreferenced = 0
        /// What is wrong with packs that the ledger reaches.
        package var findings: [PackChecker.Finding] = []
    }

    private let repository: Repository
    private let threads: Int
    private let packChecker: PackChecker
    private let objects: CheckedObjects
    /// Bytes read so far, for a progress display.
    package var bytes: Counter { packChecker.bytes }

    /// `bytes` counts what is read of packs, `expected` what is to be read.
    package init(
        repository: Repository, threads: Int = Workers.processorCount, bytes: Counter = Counter(),
        expected: Counter = Counter()
    ) {
        self.repository = repository
        self.threads = threads
        packChecker = PackChecker(store: repository.objects, bytes: bytes, expected: expected)
        objects = CheckedObjects(store: repository.objects, table: packChecker.table)
    }

    /// Looks at the ledger, every pack that an entry names, and every tree. With `data`, at every byte; with `files`, also at
    /// the digest of every file that has a recipe.
    package func run(data: Bool, files: Bool = false) throws(DFSError) -> Report {
        var report = Report()
        // Texts are looked for in the metadata packs while the ledger is read.
        let homes = try EventList(backend: repository.backend).standingPacks
        try packChecker.checkTables(homes.sorted(), threads: threads)
        let state = try ledger(&report)
        let subjects = CheckSubjects(state)
        let packs = try self.packs(state, homes, subjects, &report)
        report.packs = packs.count
        let stamps = data ? repository.objects.stamps(of: packs.sorted()) : []
        if data { try packChecker.checkBytes(packs.sorted(), items: true, threads: threads) }
        let findings = packChecker.takeFindings().filter { packs.contains($0.pack) }
        repository.objects.noteVerified(stamps, except: findings.map(\.pack))
        report.bytes = packChecker.bytes.current
        try trees(subjects, state, findings, files: files, &report)
        report.unreferenced = try unreferenced(packs, state)
        return report
    }

    /// What the table of a pack says of an object.
    package func item(_ digest: Digest, in pack: PackID) -> PackItem? {
        objects.table.places(of: digest).first { $0.pack == pack }?.item
    }

    // MARK: Ledger and packs

    private func ledger(_ report: inout Report) throws(DFSError) -> LedgerState {
        guard let bytes = try repository.backend.get(StoreDescription.key, limit: 1 << 20) else {
            throw DFSError(.noStore, "\(repository.root) lost its \(StoreDescription.key)")
        }
        let verifier = LedgerVerifier(
            backend: repository.backend, store: repository.id, storeFileDigest: Digest.of(bytes))
        let ledger = try verifier.verify(texts: { digest throws(DFSError) in
            try? self.objects.object(digest, "a text")
        })
        report.entries = ledger.entries
        let subjects = CheckSubjects(ledger.state)
        for finding in ledger.problems {
            let place = finding.sequence == 0 ? "ledger" : "ledger entry \(finding.sequence)"
            report.problems.append(
                Problem(what: "\(place): \(finding.what)", affects: subjects.names(ofEntry: finding.sequence)))
        }
        for stray in ledger.strays { report.problems.append(Problem(what: "\(stray) is no ledger entry")) }
        return ledger.state
    }

    /// The packs of all pack sets, their tables taken in. What cannot be read is told of.
    private func packs(
        _ state: LedgerState, _ homes: Set<PackID>, _ subjects: CheckSubjects, _ report: inout Report
    ) throws(DFSError) -> Set<PackID> {
        var packs = Set<PackID>()
        for mark in state.packSets {
            packs.formUnion(state.condemnations.standing([mark.pack]))
            do throws(DFSError) {
                let set = try PackSet.decode(try objects.object(mark.packs.digest, "a pack set"))
                packs.formUnion(state.condemnations.standing(set.added))
            } catch {
                report.problems.append(
                    Problem(
                        what: "entry \(mark.sequence): \(Self.text(error))",
                        affects: subjects.names(ofEntry: mark.sequence)))
            }
        }
        try packChecker.checkTables(packs.subtracting(homes).sorted(), threads: threads)
        return packs
    }

    // MARK: Trees

    private func trees(
        _ subjects: CheckSubjects, _ state: LedgerState, _ findings: [PackChecker.Finding], files: Bool,
        _ report: inout Report
    ) throws(DFSError) {
        let check = TreeCheck(objects: objects, files: files, threads: threads)
        try check.run(subjects.trees.map(\.tree))
        var trace = DamageTrace(check: check)
        let isClean = check.facts.isClean
        var coverage = PackCoverage(check: check, replacements: state.condemnations.replacements)
        for record in subjects.records {
            do throws(DFSError) {
                _ = try JSONValue.parseCanonical(try objects.object(record.record.record.digest, "a record"))
            } catch { trace.note(check.lost(record.record.record.digest, error), record.name + " (its record)") }
        }
        var uncovered = [Problem]()
        for subject in subjects.trees {
            if !isClean, !trace.trace(subject.tree, subject.name) { continue }
            do throws(DFSError) {
                guard let problem = try coverage.problem(subject.tree, subject.record) else { continue }
                uncovered.append(Problem(what: "\(subject.name): \(problem)", affects: [subject.name]))
            } catch {
                // A set that cannot be read is told of by its entry.
                continue
            }
        }
        report.objects = check.count.current + packChecker.table.count
        report.problems += problems(findings, trace)
        report.problems += uncovered
        report.findings = findings
    }

    private func problems(_ findings: [PackChecker.Finding], _ trace: DamageTrace) -> [Problem] {
        var problems = [Problem]()
        var told = Set<PackID>()
        for finding in findings {
            let number = packChecker.table.number(of: finding.pack)
            let affected = finding.damaged.isEmpty ? nil : number.flatMap { trace.affected[.pack($0)] }
            // Of several findings about a pack, the first with damage says what it affects.
            let isFirst = !finding.damaged.isEmpty && told.insert(finding.pack).inserted
            problems.append(Self.problem(finding.what, isFirst ? affected : nil))
        }
        if let affected = trace.affected[.nowhere(.zero)], let first = trace.nowhere.min() {
            let count = Quantity.count(trace.nowhere.count, "object")
            let such = trace.nowhere.count == 1 ? first.text : "such as \(first.text)"
            problems.append(Self.problem("\(count) in no pack, \(such)", affected))
        }
        var others = [Problem]()
        for (cause, affected) in trace.affected {
            switch cause {
            case .nowhere: continue
            case .pack(let number):
                let pack = packChecker.table.pack(number)
                if told.contains(pack) { continue }
                others.append(Self.problem("\(PackIndex.packKey(pack)): objects in it are damaged", affected))
            case .wrong(let what):
                let isOne = affected.count == 1
                others.append(Self.problem(isOne ? "\(affected.paths[0]): \(what)" : what, affected))
            }
        }
        return problems + others.sorted { $0.what < $1.what }
    }

    private static func problem(_ what: String, _ affected: DamageTrace.Affected?) -> Problem {
        guard let affected else { return Problem(what: what) }
        return Problem(what: what, affects: affected.paths, more: affected.count - affected.paths.count)
    }

    private func unreferenced(_ packs: Set<PackID>, _ state: LedgerState) throws(DFSError) -> Int {
        let keys = try repository.backend.list("packs/").filter { $0.hasSuffix(".idx") }
        let condemned = state.condemnations.all.flatMap(\.packs)
        let known = Set((packs + condemned).map { PackIndex.indexKey($0) })
        return keys.count { !known.contains($0) }
    }

    private static func text(_ error: DFSError) -> String { error.what + (error.cause.map { ": \($0)" } ?? "") }
}
