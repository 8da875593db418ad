import DFSModel
import DFSStore

/// The part of EROFS's on-disk format that sealed views use (Linux: Documentation/filesystems/erofs, fs/erofs/erofs_fs.h):
/// extended inodes, files in chunks that name their device, directories and small files inline or in blocks.
///
/// All numbers are little-endian. The metadata begins at block 0, so an inode's number (`nid`) is its byte offset in the image
/// by 32.
enum ErofsFormat {
    static let block = 4096
    static let slot = 32
    static let superblockOffset = 1024, superblockLength = 128
    /// Where the root's inode lies: its number must fit 16 bits.
    static let rootOffset = 1152
    static let sharedAttributesOffset = 1536
    static let deviceTableOffset = 2048, deviceSlotLength = 128
    /// The number of a device is 16 bits, and 0 is the image.
    static let maximumDevices = 65_535
    static let inodeLength = 64
    static let chunkIndexLength = 8
    static let direntLength = 12
    /// Bits of a chunk's length above those of a block.
    static let maximumChunkBits: UInt16 = 31

    enum Layout: UInt16 { case plain = 0, inline = 2, chunks = 4 }
    enum FileType: UInt8 { case file = 1, directory = 2, symlink = 7 }

    private static let magic: UInt32 = 0xE0F5_E1E2
    private static let compatMtime: UInt32 = 0x2
    private static let incompatChunkedFile: UInt32 = 0x4, incompatDeviceTable: UInt32 = 0x8
    private static let chunkIndexes: UInt16 = 0x20

    static func nid(at offset: UInt64) -> UInt64 { offset / UInt64(slot) }
    static func roundedUp(_ n: Int, to unit: Int) -> Int { (n + unit - 1) / unit * unit }
    static func roundedUp(_ n: UInt64, to unit: UInt64) -> UInt64 { (n + unit - 1) / unit * unit }

    // MARK: Superblock

    struct Superblock: Equatable {
        var inodes: UInt64
        var blocks: UInt32
        var uuid: [UInt8]
        var devices: Int

        func encode() -> [UInt8] {
            var out = ByteWriter()
            out.put(magic)
            out.put(UInt32(0))
            out.put(compatMtime)
            out.put(UInt8(12))
            out.put(UInt8(0))
            out.put(UInt16(nid(at: UInt64(rootOffset))))
            out.put(inodes)
            out.put(UInt64(0))
            out.put(UInt32(0))
            out.put(blocks)
            out.put(UInt32(0))
            out.put(UInt32(0))
            out.put(uuid)
            out.put([UInt8](repeating: 0, count: 16))
            out.put(incompatChunkedFile | incompatDeviceTable)
            out.put(UInt16(0))
            out.put(UInt16(devices))
            out.put(UInt16(deviceTableOffset / deviceSlotLength))
            out.put([UInt8](repeating: 0, count: superblockLength - out.bytes.count))
            return out.bytes
        }

        /// `nil` when it is none that this program writes.
        init?(_ b: UnsafeRawBufferPointer) {
            guard b.count >= superblockLength else { return nil }
            inodes = b.little(UInt64.self, 16)
            blocks = b.little(UInt32.self, 36)
            uuid = Array(b[48..<64])
            devices = Int(b.little(UInt16.self, 86))
            guard encode().elementsEqual(b[..<superblockLength]) else { return nil }
        }

        init(inodes: UInt64, blocks: UInt32, uuid: [UInt8], devices: Int) {
            self.inodes = inodes
            self.blocks = blocks
            self.uuid = uuid
            self.devices = devices
        }
    }

    /// A slot of the device table: 64 bytes for people, then the length in blocks. It has no place in the unified address
    /// space (0): chunks name their device.
    static func deviceSlot(tag: String, blocks: UInt32) -> [UInt8] {
        var out = ByteWriter()
        let tag = Array(tag.utf8.prefix(64))
        out.put(tag + [UInt8](repeating: 0, count: 64 - tag.count))
        out.put(blocks)
        out.put([UInt8](repeating: 0, count: 60))
        return out.bytes
    }

    // MARK: Inodes

    struct Inode {
        var layout: Layout
        var mode: UInt16
        var size: UInt64
        /// The first block of what is in blocks, or the form of the chunks.
        var data: UInt32
        var number: UInt32
        var uid: UInt32
        var gid: UInt32
        var modified: Timestamp
        var links: UInt32
        /// Bytes of extended attributes behind it: 0, or 12 and a multiple of 4.
        var attributesLength: Int

        func append(to out: inout ByteWriter) {
            out.put(1 | layout.rawValue << 1)
            out.put(attributesLength == 0 ? UInt16(0) : UInt16((attributesLength - 12) / 4 + 1))
            out.put(mode)
            out.put(UInt16(0))
            out.put(size)
            out.put(data)
            out.put(number)
            out.put(uid)
            out.put(gid)
            out.put(UInt64(bitPattern: modified.seconds))
            out.put(modified.nanoseconds)
            out.put(links)
            out.put(UInt64(0))
            out.put(UInt64(0))
        }
    }

    static func chunkForm(bits: UInt16) -> UInt32 { UInt32(chunkIndexes | bits) }

    /// The bits in a chunk form; `nil` when it is none that this program writes.
    static func chunkBits(_ form: UInt32) -> UInt16? {
        guard form & ~UInt32(0x1f) == UInt32(chunkIndexes) else { return nil }
        return UInt16(form & 0x1f)
    }

    static func appendChunk(_ chunk: BlockAddress, to out: inout ByteWriter) {
        out.put(UInt16(0))
        out.put(chunk.device)
        out.put(chunk.block)
    }

    // MARK: Extended attributes

    /// An attribute of users; `name` without the prefix `user.`.
    static func attribute(_ name: String, _ value: String) -> [UInt8] {
        var out = ByteWriter()
        out.put(UInt8(name.utf8.count))
        out.put(UInt8(1))
        out.put(UInt16(value.utf8.count))
        out.put(Array(name.utf8))
        out.put(Array(value.utf8))
        out.put([UInt8](repeating: 0, count: roundedUp(out.bytes.count, to: 4) - out.bytes.count))
        return out.bytes
    }

    /// What stands behind an inode: a header, references to shared attributes, and its own.
    static func appendAttributes(shared: [UInt32], own: [UInt8], to out: inout ByteWriter) {
        out.put(UInt32(0))
        out.put(UInt8(shared.count))
        out.put([UInt8](repeating: 0, count: 7))
        for id in shared { out.put(id) }
        out.put(own)
    }
}

/// A block of a device.
struct BlockAddress: Sendable, Equatable {
    /// 1 and up.
    var device: UInt16
    var block: UInt32
}

/// Little-endian numbers and bytes, one after the other.
struct ByteWriter: Sendable {
    private(set) var bytes = [UInt8]()

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    mutating func put(_ more: [UInt8]) { bytes += more }
    mutating func put(_ more: ArraySlice<UInt8>) { bytes += more }
    mutating func pad(to unit: Int) {
        let rest = bytes.count % unit
        if rest != 0 { bytes.append(contentsOf: repeatElement(0, count: unit - rest)) }
    }
    mutating func clear() { bytes.removeAll(keepingCapacity: true) }
}

extension UnsafeRawBufferPointer {
    func little<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}
