import DFSLaunch
import DFSModel
import DFSRuns
import DFSSystem

/// What a job has mapped: `evidence/libraries.json` (`dfs.libraries/1`).
final class LibraryWitness: RunWitness {
    let name = "libraries"
    let watch: LibraryWatch
    private let observer: JobObserver
    private let live: LiveRun
    private var written = 0
    private var failure: String?

    init(_ live: LiveRun, catalogue: FileCatalogue, observer: JobObserver, found: @escaping @Sendable ([UInt8]) -> Void)
    {
        self.live = live
        self.observer = observer
        watch = LibraryWatch(catalogue: catalogue, found: found)
    }

    func prepare(_ plan: inout EnterPlan) {
        observer.add(due: UsageSeries.pause(at: 0)) { [self] now, processes in
            let next = watch.look(at: now, processes)
            if watch.count != written { write() }
            return next
        }
    }

    /// What is being read when the job ends is waited for so long.
    private static let patience = 200

    func ended() {
        observer.end()
        watch.end(milliseconds: Self.patience)
        if observer.began != nil { write() }
    }

    private func write() {
        written = watch.count
        do throws(DFSError) { try live.writeEvidence("libraries.json", watch.json) } catch {
            failure = error.cause ?? error.what
        }
    }

    var summary: JSONValue {
        if let failure { return Fact.unknown(failure) }
        guard written > 0 else { return Fact.none("no look found a process of the job") }
        return ["count": .integer(Int64(written)), "file": "libraries.json"]
    }
}
