import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// A store in a temporary directory with a key of its own.
package final class TestRepository: Sendable {
    package let directory: TemporaryDirectory
    package let repository: Repository
    package let signer: any Signer

    package var storePath: String { directory.sub("store") }

    package init(parameters: StoreParameters = .standard) throws {
        directory = try TemporaryDirectory()
        signer = try KeyFile.load(orCreateAt: directory.sub("key"))
        try Repository.create(at: directory.sub("store"), signer: signer, parameters: parameters)
        repository = try Repository.open(at: directory.sub("store"), cacheRoot: directory.sub("cache"))
    }

    /// The same store as another host sees it: with a cache of its own.
    package func reopened(cache: String) throws -> Repository {
        try Repository.open(at: storePath, cacheRoot: directory.sub(cache))
    }

    @discardableResult
    package func commit(
        _ dataset: String, _ source: String, options: CaptureOptions = CaptureOptions()
    ) throws -> Commit.Outcome {
        try Commit(repository: repository, dataset: dataset, source: source, options: options).run(by: signer)
    }

    package func root(_ version: VersionRecord) -> TreeEntry { .root(version.tree, modified: version.time) }
}
