import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Synchronization

/// Finds local files that hold exactly the bytes of a stored file, for those who let the kernel read them: the pack that is
/// the file, or a hot copy. What is not there yet is made in the background once a file is worth it.
package final class LocalFiles: Sendable {
    package struct Found: Sendable {
        package let descriptor: OwnedDescriptor
        package let path: String
        /// The copy that is in use; `nil` for a pack.
        package let hot: HotFiles.Hold?
    }

    /// Smaller files are read once and then lie in the kernel's cache: an open by itself costs more than their bytes.
    package static let smallestHot: UInt64 = 1 << 20

    private struct Use: Sendable {
        var opens = 0
        var bytes: UInt64 = 0
    }

    private enum Job: Hashable, Sendable {
        case verify(PackID)
        case copy(ContentDigest)
    }

    private let reader: TreeReader
    private let hot: HotFiles
    private let told: @Sendable (String) -> Void
    private let work = BackgroundWork<Job>()
    /// The pack that is a file; none for those that have no such pack.
    private let packs = BoundedCache<ContentDigest, PackID?>(limit: 8192)
    private let uses = BoundedCache<ContentDigest, Use>(limit: 8192)
    private var counters: ReadCounters { reader.counters }

    /// `told` gets the text of errors of background work.
    package init(
        reader: TreeReader, hot: HotFiles, told: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.reader = reader
        self.hot = hot
        self.told = told
    }

    /// Whether nothing is being made.
    package var isIdle: Bool { work.isIdle }

    // MARK: Opening

    /// A local file with the bytes of `file`, which is being opened; `nil` when there is none that may be read unchecked.
    package func open(_ file: TreeEntry) -> Found? {
        guard file.kind == .file, file.size >= Self.smallestHot, let address = file.address else { return nil }
        do throws(DFSError) {
            if let pack = try pack(of: file, address) { return try open(pack) }
        } catch {
            // Reading says what is wrong, to whoever asks for the bytes concerned.
            return nil
        }
        if let hold = hot.open(file.content, size: file.size) {
            return Found(descriptor: hold.descriptor, path: hold.path, hot: hold)
        }
        note(file) { $0.opens += 1 }
        return nil
    }

    private func pack(of file: TreeEntry, _ address: ObjectAddress) throws(DFSError) -> PackID? {
        if let known = packs[file.content] { return known }
        let pack = try reader.store.singleFilePack(of: try reader.recipe(address, of: file))
        packs.insert(pack, for: file.content, cost: 1)
        return pack
    }

    private func open(_ pack: PackID) throws(DFSError) -> Found? {
        guard let descriptor = try reader.store.open(pack).descriptor else { return nil }
        guard try reader.store.isVerified(pack, descriptor) else {
            // Until then it is read through this process, which compares digests.
            work.add(.verify(pack)) { [self] in
                attempt { () throws(DFSError) in
                    try reader.store.verify([pack], threads: 1, bytes: counters.verified)
                }
            }
            return nil
        }
        return Found(
            descriptor: descriptor, path: reader.store.backend.location + "/" + PackIndex.packKey(pack), hot: nil)
    }

    // MARK: What is worth a copy

    /// `count` bytes of `file` were read through this process.
    package func noteRead(_ file: TreeEntry, _ count: Int) {
        guard file.size >= Self.smallestHot, file.address != nil else { return }
        note(file) { $0.bytes += UInt64(count) }
    }

    /// A file is worth a copy when it is opened for the second time, or when as much as its size was read: earlier, it would be
    /// decompressed twice at once, which only slows its reader.
    private func note(_ file: TreeEntry, _ change: (inout Use) -> Void) {
        var use = uses[file.content] ?? Use()
        change(&use)
        uses.insert(use, for: file.content, cost: 1)
        guard use.opens >= 2 || use.bytes >= file.size else { return }
        if let known = packs[file.content], known != nil { return }
        work.add(.copy(file.content)) { [self] in
            attempt { () throws(DFSError) in
                guard case .made = try hot.make(file) else { return }
                counters.hotFiles.increment()
                counters.hotBytes.increment(by: Int(clamping: file.size))
            }
        }
    }

    private func attempt(_ body: () throws(DFSError) -> Void) {
        do throws(DFSError) { try body() } catch { told(error.description) }
    }
}
