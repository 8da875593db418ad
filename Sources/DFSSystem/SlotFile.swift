import DFSModel
import Glibc

/// A table in a file in memory that outlives the process which writes it: for each key a slot of 512 bytes, which is used
/// again when the key is gone, so that the file is as large as there ever were keys at once. A slot lies in one page, so it
/// is written whole or not.
///
/// What cannot be written is lost to the next process. Used by one thread at a time.
package struct SlotFile: Sendable {
    private static let length = 512
    private static let header = 10
    /// Of what belongs to a key.
    package static let limit = length - header

    private let file: OwnedDescriptor
    private var slots: [UInt64: Int] = [:]
    private var free: [Int] = []
    private var top = 0

    package init(_ file: OwnedDescriptor) { self.file = file }

    /// Calls `body` with what an earlier process has left. Keys are not 0: that is a free slot.
    package mutating func restore(_ body: (_ key: UInt64, _ bytes: UnsafeRawBufferPointer) -> Void) {
        guard let bytes = try? Files.readMemory(file) else { return }
        top = bytes.count / Self.length
        bytes.withUnsafeBytes { bytes in
            for slot in 0..<top {
                let record = UnsafeRawBufferPointer(rebasing: bytes[slot * Self.length..<(slot + 1) * Self.length])
                let key = record.loadUnaligned(as: UInt64.self)
                let count = min(Int(record.loadUnaligned(fromByteOffset: 8, as: UInt16.self)), Self.limit)
                guard key != 0 else {
                    free.append(slot)
                    continue
                }
                slots[key] = slot
                body(key, UnsafeRawBufferPointer(rebasing: record[Self.header..<Self.header + count]))
            }
        }
    }

    /// Sets what belongs to `key`: at most `limit` bytes.
    package mutating func set(_ key: UInt64, _ bytes: UnsafeRawBufferPointer) {
        let slot = slots[key] ?? free.popLast() ?? top
        top = max(top, slot + 1)
        slots[key] = slot
        withUnsafeTemporaryAllocation(byteCount: Self.length, alignment: 8) { record in
            let count = min(bytes.count, Self.limit)
            record.initializeMemory(as: UInt8.self, repeating: 0)
            record.storeBytes(of: key, as: UInt64.self)
            record.storeBytes(of: UInt16(count), toByteOffset: 8, as: UInt16.self)
            UnsafeMutableRawBufferPointer(rebasing: record[Self.header...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            _ = pwrite(file.raw, record.baseAddress, Self.length, off_t(slot * Self.length))
        }
    }

    package mutating func remove(_ key: UInt64) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        var none: UInt64 = 0
        _ = pwrite(file.raw, &none, 8, off_t(slot * Self.length))
        free.append(slot)
    }
}

extension Files {
    /// All of a file in memory, whose position may be anywhere.
    package static func readMemory(_ file: OwnedDescriptor) throws(DFSError) -> [UInt8] {
        let size = try System.call("cannot measure a file in memory") { lseek(file.raw, 0, SEEK_END) }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = try System.call("cannot read a file in memory") {
                bytes.withUnsafeMutableBytes {
                    pread(file.raw, $0.baseAddress.map { $0 + done }, size - done, off_t(done))
                }
            }
            guard count > 0 else { break }
            done += count
        }
        return Array(bytes[..<done])
    }
}
