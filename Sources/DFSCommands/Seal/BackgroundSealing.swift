import DFSHistory
import DFSLedger
import DFSModel
import DFSSealedView
import DFSSystem
import Glibc

/// Makes the image of a version while nobody waits: `dfs __seal REQUEST`, at the lowest priority.
enum BackgroundSealing {
    static func start(
        dataset: String, version: Int, store: String, cacheRoot: String, limit: UInt64
    ) throws(DFSError) {
        let request: JSONValue = [
            "dataset": .string(dataset), "version": .integer(Int64(version)), "store": .string(store),
            "cacheRoot": .string(cacheRoot), "limit": .integer(Int64(clamping: limit)),
        ]
        _ = try ChildProcess.start(
            ServerProcess.executable, arguments: ["dfs", "__seal", request.canonicalText])
    }

    static func run(arguments: [String]) -> Int32 {
        guard let text = arguments.first, let json = try? JSONValue.parse(text), let store = json["store"]?.string,
            let cache = json["cacheRoot"]?.string, let dataset = json["dataset"]?.string,
            let number = json["version"]?.integer, let limit = json["limit"]?.integer
        else { return ExitCode.usage.rawValue }
        _ = chdir("/")
        _ = nice(19)
        do throws(DFSError) {
            let repository = try Repository.open(at: store, cacheRoot: cache)
            guard let version = try repository.state().datasets[dataset]?.version(Int(number)) else {
                return ExitCode.noReference.rawValue
            }
            // One at a time, and not again what was found to need more than the limit.
            _ = try SealedViews(repository: repository, limit: UInt64(limit), threads: 1)
                .prepareOnce(ViewSubject(version, of: dataset))
            return 0
        } catch { return ExitCode(error.code).rawValue }
    }
}
