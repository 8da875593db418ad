import DFSChunking
import DFSLedger
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Finds what is damaged or missing in a store, and puts it back from a directory or another store: what `dfs repair` does.
///
/// Everything comes back under its own name, as the same bytes: nothing of history changes, and no entry is written. May be
/// interrupted anywhere and begun again.
package struct Repair {
    package struct Report: Sendable {
        /// Files of the store that were put back or written anew.
        package var files: [String] = []
        /// Chunks and objects that were found again.
        package var objects = 0
        /// What is still wrong.
        package var check = Checker.Report()
    }

    private let repository: Repository
    private let source: any ReplacementSource
    private let threads: Int
    private let bytes: Counter
    private let expected: Counter

    package init(
        repository: Repository, source: any ReplacementSource, threads: Int, bytes: Counter = Counter(),
        expected: Counter = Counter()
    ) {
        self.repository = repository
        self.source = source
        self.threads = threads
        self.bytes = bytes
        self.expected = expected
    }

    /// Checks, repairs and checks again until nothing more can be found. Throws only where the store cannot be written.
    package func run() throws(DFSError) -> Report {
        var report = Report()
        while true {
            let checker = Checker(repository: repository, threads: threads, bytes: bytes, expected: expected)
            report.check = try checker.run(data: true)
            guard !report.check.findings.isEmpty else { return report }
            // What was damaged may have hidden what else is: there is another round as long as something is found.
            guard try repair(report.check.findings, checker, &report) else { return report }
        }
    }

    private func repair(
        _ findings: [PackChecker.Finding], _ checker: Checker, _ report: inout Report
    ) throws(DFSError) -> Bool {
        var wanted = [Digest: UInt32]()
        for finding in findings {
            for digest in finding.damaged {
                if let item = checker.item(digest, in: finding.pack) { wanted[digest] = item.length }
            }
        }
        let own = StoreReplacements(store: repository.objects, threads: threads)
        if !wanted.isEmpty {
            try own.locate(wanted)
            try source.locate(wanted)
        }
        let repair = PackRepair(
            store: repository.objects, backend: repository.backend, sources: [own, source])
        var hasRepaired = false
        var seen = Set<PackID>()
        for finding in findings {
            if finding.kind == .table {
                guard
                    try PackRepair(store: repository.objects, backend: repository.backend, sources: [source])
                        .restoreTable(finding.pack)
                else { continue }
                report.files.append(PackIndex.indexKey(finding.pack))
                hasRepaired = true
            } else if seen.insert(finding.pack).inserted {
                let outcome = try repair.rebuild(finding.pack, reason: finding.what)
                guard outcome.restored > 0 || outcome.missing == 0 else { continue }
                report.files.append(PackIndex.packKey(finding.pack))
                report.objects += outcome.restored
                hasRepaired = true
            }
        }
        return hasRepaired
    }
}
