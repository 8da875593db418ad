import CLinux
import DFSModel
import DFSRemote
import DFSSystem
import Glibc

/// Writes one pack: bytes first, then its table; both are durable when `finish` returns.
///
/// Used by one thread. A writer that is dropped leaves nothing under a final name.
final class PackWriter {
    private let backend: any Backend
    private let kind: PackIndex.Kind
    private let file: DurableFile
    private(set) var items = [PackItem]()
    private var staged = [UInt8]()
    private(set) var length: UInt64 = 0
    private var flushed: UInt64 = 0

    private static let stage = 1 << 20
    /// Bytes after which the kernel is asked to start writing back, so that the fsync at the end is short.
    private static let writeback: UInt64 = 16 << 20

    init(backend: any Backend, kind: PackIndex.Kind) throws(DFSError) {
        self.backend = backend
        self.kind = kind
        file = try backend.begin()
        staged.reserveCapacity(Self.stage)
    }

    /// Appends bytes as they are and lists them as one item.
    func append(_ stored: UnsafeRawBufferPointer, digest: Digest, length: Int, codec: PackItem.Codec) throws(DFSError) {
        note(digest, storedLength: stored.count, length: length, codec: codec)
        try write(stored)
    }

    /// Lists an item whose bytes are about to be written.
    func note(_ digest: Digest, storedLength: Int, length: Int, codec: PackItem.Codec) {
        note(digest, at: self.length, storedLength: storedLength, length: length, codec: codec)
    }

    func note(_ digest: Digest, at offset: UInt64, storedLength: Int, length: Int, codec: PackItem.Codec) {
        items.append(
            PackItem(
                digest: digest, offset: offset, storedLength: UInt32(storedLength), length: UInt32(length),
                codec: codec))
    }

    /// Makes the pack a clone of a file's first `size` bytes, all it has, which share its extents; `false` where the file
    /// system cannot. For a pack in which nothing was written.
    func clone(_ source: OwnedDescriptor, size: UInt64) throws(DFSError) -> Bool {
        guard clinux_clone_file(file.descriptor.raw, source.raw) == 0 else { return false }
        guard try file.status().size == size else { throw Buffer.changed("the file") }
        length = size
        return true
    }

    /// What a clone is read from.
    var clonedFile: OwnedDescriptor { file.descriptor }

    func write(_ bytes: UnsafeRawBufferPointer) throws(DFSError) {
        if staged.count + bytes.count > Self.stage { try flush() }
        if bytes.count >= Self.stage / 4 {
            try flush()
            try file.append(bytes)
        } else {
            staged.append(contentsOf: bytes)
        }
        length += UInt64(bytes.count)
        startWriteback()
    }

    func write(_ bytes: [UInt8]) throws(DFSError) {
        var failure: DFSError?
        bytes.withUnsafeBytes { buffer in
            do throws(DFSError) { try write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes zeros until the length is `remainder` modulo 4,096.
    func pad(to remainder: UInt64 = 0) throws(DFSError) {
        let gap = (remainder &+ 4096 &- length % 4096) % 4096
        guard gap > 0 else { return }
        try write([UInt8](repeating: 0, count: Int(gap)))
    }

    private func flush() throws(DFSError) {
        guard !staged.isEmpty else { return }
        try file.append(staged)
        staged.removeAll(keepingCapacity: true)
    }

    private func startWriteback() {
        guard length - flushed >= Self.writeback else { return }
        // Best effort: only when the writing happens depends on it, never whether.
        clinux_start_writeback(file.descriptor.raw, Int64(flushed), Int64(length - flushed))
        flushed = length
    }

    /// Publishes the pack and then its table. Nothing may refer to the pack before this returns.
    func finish() throws(DFSError) -> PackIndex {
        try flush()
        let index = PackIndex(kind: kind, nonce: Randomness.bytes(16), packLength: length, items: items)
        #if DEBUG || DFS_DEFECTS
            if Defect.entryFirst.isPlanted, kind == .metadata {
                Defect.postpone { () throws(DFSError) in try self.publish(index) }
                return index
            }
        #endif
        try publish(index)
        return index
    }

    private func publish(_ index: PackIndex) throws(DFSError) {
        try backend.publish(file, as: PackIndex.packKey(index.id))
        try backend.put(PackIndex.indexKey(index.id), index.bytes)
    }
}
