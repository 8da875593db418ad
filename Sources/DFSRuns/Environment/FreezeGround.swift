import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem
import Glibc

/// What the last freeze of the same parts left on this host; held by one process at a time.
final class FreezeGround {
    private let lock: OwnedDescriptor
    private let path: String

    /// Waits until no other process freezes the same parts. `scope` tells them from others.
    init(repository: Repository, scope: String) throws(DFSError) {
        path = Self.path(repository, scope)
        try Files.makeDirectories(Files.parent(path), mode: 0o700)
        let path = path + ".lock"
        let lock = try OwnedDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
        try System.call("cannot lock \(path)") { flock(lock.raw, LOCK_EX) }
        self.lock = lock
    }

    private static func path(_ repository: Repository, _ scope: String) -> String {
        let name = String(Digest.of(Array(scope.utf8)).hex.prefix(32))
        return repository.cacheDirectory + "/environment/\(name).json"
    }

    /// The environment that was frozen last, if the ledger has it.
    static func latest(_ repository: Repository, _ scope: String, in state: LedgerState) -> RunAnnotation? {
        let path = path(repository, scope)
        guard let bytes = try? Files.read(path, limit: 1 << 16), let json = try? JSONValue.parse(bytes),
            let run = json["run"]?.string.flatMap({ RunID($0) })
        else { return nil }
        return state.run(run)?.annotations.first { $0.name == RunAnnotation.environment && $0.tree != nil }
    }

    /// The next one builds on what `run` has. Nothing depends on it.
    func note(_ run: RunID) {
        let bytes = JSONValue.object(["run": .string(run.description)]).canonicalBytes
        guard let file = try? OwnedDescriptor.open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600),
            (try? Files.write(bytes, to: file.raw, what: path)) != nil
        else { return }
        rename(path + ".new", path)
    }
}
