import DFSChunking
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Digests and build ids of code files, kept on this host from run to run: what is unchanged by its stamp is not read again.
package final class FileCatalogue: Sendable {
    package struct Facts: Sendable, Equatable {
        package let digest: Digest
        package let size: UInt64
        package let buildID: String?
        package let soname: String?
    }

    private struct State {
        var known: [String: JSONValue]?
        var used = Set<String>()
        var isChanged = false
    }

    private let cache: HostCache
    private let state = Mutex(State())
    private static let name = "files"
    private static let key: JSONValue = ["version": 1]
    /// Beyond this only what this run used is kept.
    private static let capacity = 20_000

    /// `directory` is the host's cache of facts; `nil`: nothing is kept.
    package init(directory: String?) { cache = HostCache(directory: directory, hash: { Digest.of($0) }) }

    /// What is known of an open file that has not changed; `path` is its name in the catalogue.
    func known(_ path: String, _ status: FileStatus) -> Facts? {
        let stamp = Self.stamp(status)
        return state.withLock { state in
            if state.known == nil { state.known = cache.value(Self.name, key: Self.key)?.object ?? [:] }
            guard let row = state.known?[path], row["stamp"] == stamp, let digest = row["sha256"]?.digest else {
                return nil
            }
            state.used.insert(path)
            return Facts(
                digest: digest, size: status.size, buildID: row["build_id"]?.string, soname: row["soname"]?.string)
        }
    }

    /// Reads the file; `nil` when `stop` said so, or it changed meanwhile or cannot be read.
    func read(_ file: OwnedDescriptor, _ path: String, stop: () -> Bool) -> Facts? {
        guard let before = try? FileStatus.of(file) else { return nil }
        if let facts = known(path, before) { return facts }
        var hasher = Hasher256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: off_t = 0
        while true {
            if stop() { return nil }
            let count = pread(file.raw, &buffer, buffer.count, offset)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += off_t(count)
        }
        guard let after = try? FileStatus.of(file), Self.stamp(after) == Self.stamp(before) else { return nil }
        let elf = ELFFile(file.raw)
        let facts = Facts(
            digest: hasher.finish(), size: before.size, buildID: elf?.buildID, soname: elf?.soname)
        remember(path, before, facts)
        return facts
    }

    private func remember(_ path: String, _ status: FileStatus, _ facts: Facts) {
        // One that was changed just now may change again without its stamp telling.
        guard status.changed < Clock.now().adding(seconds: -2) else { return }
        var row: [String: JSONValue] = ["sha256": .string(facts.digest.text), "stamp": Self.stamp(status)]
        row["build_id"] = facts.buildID.map { .string($0) }
        row["soname"] = facts.soname.map { .string($0) }
        state.withLock { state in
            state.known?[path] = .object(row)
            state.used.insert(path)
            state.isChanged = true
        }
    }

    /// Keeps what was learned for the next run. Of two that save at once one wins: it is a cache.
    package func save() {
        let rows: [String: JSONValue]? = state.withLock { state in
            guard state.isChanged, var known = state.known else { return nil }
            if known.count > Self.capacity { known = known.filter { state.used.contains($0.key) } }
            state.isChanged = false
            return known
        }
        if let rows { cache.store(Self.name, key: Self.key, .object(rows)) }
    }

    private static func stamp(_ status: FileStatus) -> JSONValue {
        [
            .integer(status.modified.seconds), .integer(Int64(status.modified.nanoseconds)),
            .integer(status.changed.seconds), .integer(Int64(status.changed.nanoseconds)),
            .integer(Int64(clamping: status.size)), .integer(Int64(clamping: status.inode)),
        ]
    }
}
