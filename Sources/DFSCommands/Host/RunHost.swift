import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns

/// The host record of a run.
enum RunHost {
    static func record(of run: RunRecord, _ repository: Repository) throws(DFSError) -> JSONValue {
        let host = try RunDocuments(repository: repository).host(of: run)
        guard host["stable"] != nil else {
            throw DFSError(
                .noReference, "no host is recorded of run \(run.id)", cause: "its plan names none",
                hint: "dfs show run:\(run.id.short)")
        }
        return host
    }
}
