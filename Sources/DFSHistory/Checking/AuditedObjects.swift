import DFSChunking
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem

/// Reads objects from the packs that should hold them, each pack's table checked when it is first used.
final class AuditedObjects {
    private let repository: Repository
    private let checker: PackChecker
    private let progress: Counter
    private var tables = [PackID: PackIndex?]()
    /// Every object that was read and is what its digest says.
    private(set) var checked = Set<Digest>()
    /// What is wrong with packs.
    private(set) var problems = [String]()

    init(repository: Repository, progress: Counter) {
        self.repository = repository
        self.progress = progress
        checker = PackChecker(store: repository.objects)
    }

    /// The table of a pack; `nil` when it is not sound, which is then among the problems.
    func table(_ pack: PackID) -> PackIndex? {
        if let known = tables[pack] { return known }
        var table: PackIndex?
        do throws(DFSError) {
            table = try repository.objects.readIndex(pack)
            let findings = try checker.check([pack], data: false, gaps: true, threads: 1)
            problems += findings.map { "pack \(pack): \($0.what)" }
        } catch { problems.append("pack \(pack): \(error.what)" + (error.cause.map { ": \($0)" } ?? "")) }
        tables[pack] = .some(table)
        return table
    }

    func fetch(_ digest: Digest, among packs: [PackID]) throws(DFSError) -> [UInt8] {
        if let bytes = try fetchIfPresent(digest, among: packs) { return bytes }
        throw DFSError(.corrupt, "object \(digest.text) is in no pack that should hold it", hint: "dfs verify")
    }

    /// The bytes, right at every place that the first pack with this digest has for it; `nil` when no pack has it.
    func fetchIfPresent(_ digest: Digest, among packs: [PackID]) throws(DFSError) -> [UInt8]? {
        for pack in packs {
            guard let table = table(pack), var i = table.firstIndex(of: digest) else { continue }
            var bytes = [UInt8]()
            while i < table.count, table[i].digest == digest {
                bytes = try repository.objects.read(table[i], of: pack)
                progress.increment(by: bytes.count)
                i += 1
            }
            checked.insert(digest)
            return bytes
        }
        return nil
    }

    /// Digests that a pack lists; none when its table is not sound.
    func digests(in pack: PackID) -> [Digest] {
        guard let table = table(pack) else { return [] }
        return (0..<table.count).map { table[$0].digest }
    }
}
