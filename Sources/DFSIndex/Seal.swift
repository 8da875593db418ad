import DFSModel
import DFSSystem
import Glibc

/// A note beside data.mdb: in this boot, the file of this inode, length and time of change was written by LMDB or
/// checked as a whole.
///
/// LMDB notices almost no damage and can crash on it, so a file is checked page by page before it is used; the seal
/// spares a short-lived command that check when nothing but LMDB has touched the file. It is written after each commit
/// without a lock: a wrong or torn seal only costs a check.
struct Seal: Sendable {
    private let descriptor: OwnedDescriptor

    /// `nil` when the file cannot be opened: then there is never a seal.
    init?(directory: String) {
        guard let fd = try? OwnedDescriptor.open(directory + "/seal", O_RDWR | O_CREAT | O_NOFOLLOW) else { return nil }
        descriptor = fd
    }

    func write(_ status: FileStatus) {
        guard let bytes = Self.content(status) else { return }
        _ = bytes.withUnsafeBytes { pwrite(descriptor.raw, $0.baseAddress, $0.count, 0) }
    }

    func matches(_ status: FileStatus) -> Bool {
        guard let expected = Self.content(status) else { return false }
        var found = [UInt8](repeating: 0, count: expected.count)
        let count = found.withUnsafeMutableBytes { pread(descriptor.raw, $0.baseAddress, $0.count, 0) }
        return count == expected.count && found == expected
    }

    private static func content(_ status: FileStatus) -> [UInt8]? {
        guard let boot else { return nil }
        var out = Array("DFSSEAL1".utf8)
        for word in [
            status.device, status.inode, status.size, UInt64(bitPattern: status.modified.seconds),
            UInt64(status.modified.nanoseconds), UInt64(bitPattern: status.changed.seconds),
            UInt64(status.changed.nanoseconds),
        ] {
            withUnsafeBytes(of: word.littleEndian) { out += $0 }
        }
        return out + boot
    }

    /// The kernel's id of this boot: after a power cut everything is checked.
    private static let boot: [UInt8]? = {
        guard let fd = try? OwnedDescriptor.open("/proc/sys/kernel/random/boot_id", O_RDONLY) else { return nil }
        var text = [UInt8](repeating: 0, count: 36)
        return text.withUnsafeMutableBytes { read(fd.raw, $0.baseAddress, 36) } == 36 ? text : nil
    }()
}
