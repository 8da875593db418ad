import DFSModel
import DFSSystem
import Glibc

/// Reads an image as the kernel would and checks what the kernel does not: that every chunk names a device that exists and lies
/// in it (an unknown device reads another one's bytes, without an error), that names are in order and lead to inodes of their
/// kind, each to one of its own, that nothing lies outside the file.
struct ImageChecker {
    struct Summary: Equatable {
        var files: UInt64 = 0
        var directories: UInt64 = 0
        var symlinks: UInt64 = 0
        var chunks: UInt64 = 0
    }

    private let bytes: UnsafeRawBufferPointer
    private let blocks: [UInt32]
    private var summary = Summary()
    /// A bit for each place where an inode may be.
    private var seen: [UInt64]

    private static func damaged(_ cause: String) -> DFSError {
        DFSError(.corrupt, "an image of a sealed view is malformed", cause: cause, hint: "dfs verify --data")
    }

    /// Checks the image in `file`, whose devices have `devices` blocks each.
    static func check(_ file: OwnedDescriptor, devices: [UInt32]) throws(DFSError) -> Summary {
        let length = Int(try FileStatus.of(file).size)
        guard length >= ErofsFormat.block, let map = mmap(nil, length, PROT_READ, MAP_PRIVATE, file.raw, 0),
            map != MAP_FAILED
        else { throw damaged("it cannot be mapped") }
        defer { munmap(map, length) }
        var checker = ImageChecker(bytes: UnsafeRawBufferPointer(start: map, count: length), blocks: devices)
        return try checker.run()
    }

    private init(bytes: UnsafeRawBufferPointer, blocks: [UInt32]) {
        self.bytes = bytes
        self.blocks = blocks
        seen = Array(repeating: 0, count: bytes.count / ErofsFormat.slot / 64 + 1)
    }

    private mutating func run() throws(DFSError) -> Summary {
        let head = UnsafeRawBufferPointer(rebasing: bytes[ErofsFormat.superblockOffset..<ErofsFormat.block])
        guard let superblock = ErofsFormat.Superblock(head) else { throw Self.damaged("its superblock") }
        guard superblock.devices == blocks.count,
            UInt64(superblock.blocks) * UInt64(ErofsFormat.block) == UInt64(bytes.count)
        else { throw Self.damaged("its superblock tells other lengths") }
        for (i, length) in blocks.enumerated() {
            let at = ErofsFormat.deviceTableOffset + i * ErofsFormat.deviceSlotLength + 64
            guard try number(UInt32.self, at) == length else {
                throw Self.damaged("device \(i + 1) has another length")
            }
        }
        let root = ErofsFormat.nid(at: UInt64(ErofsFormat.rootOffset))
        var pending = [(nid: root, parent: root)]
        while let next = pending.popLast() { try directory(next.nid, parent: next.parent, &pending) }
        guard summary.files + summary.directories + summary.symlinks == superblock.inodes else {
            throw Self.damaged("it does not have as many inodes as it says")
        }
        return summary
    }

    private func number<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) throws(DFSError) -> T {
        guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else {
            throw Self.damaged("byte \(offset) is outside of it")
        }
        return bytes.little(type, offset)
    }

    private struct Inode {
        let offset: Int
        let layout: ErofsFormat.Layout
        let mode: UInt16
        let size: UInt64
        let data: UInt32
        /// Where what follows inode and attributes begins.
        let tail: Int
    }

    private mutating func inode(_ nid: UInt64, _ kind: UInt16) throws(DFSError) -> Inode {
        guard nid < UInt64(bytes.count / ErofsFormat.slot) else { throw Self.damaged("inode \(nid) is outside of it") }
        // Two names for one inode would be one name with another's content, or directories without an end.
        let (word, bit) = (Int(nid / 64), UInt64(1) << (nid % 64))
        guard seen[word] & bit == 0 else { throw Self.damaged("two names lead to inode \(nid)") }
        seen[word] |= bit
        let at = Int(nid) * ErofsFormat.slot
        let format = try number(UInt16.self, at), mode = try number(UInt16.self, at + 4)
        guard format & 1 == 1, let layout = ErofsFormat.Layout(rawValue: format >> 1) else {
            throw Self.damaged("inode \(nid) has the form \(format)")
        }
        guard mode & 0o170000 == kind, at % ErofsFormat.block + ErofsFormat.inodeLength <= ErofsFormat.block else {
            throw Self.damaged("inode \(nid) has the mode \(mode)")
        }
        let count = Int(try number(UInt16.self, at + 2))
        let tail = at + ErofsFormat.inodeLength + (count == 0 ? 0 : 12 + (count - 1) * 4)
        guard tail <= bytes.count else { throw Self.damaged("inode \(nid) is outside of it") }
        return Inode(
            offset: at, layout: layout, mode: mode, size: try number(UInt64.self, at + 8),
            data: try number(UInt32.self, at + 16), tail: tail)
    }

    /// The parts that hold an inode's bytes, in the image.
    private func extents(_ inode: Inode) throws(DFSError) -> [Range<Int>] {
        guard inode.size <= UInt64(bytes.count) else { throw Self.damaged("an inode is longer than it") }
        let size = Int(inode.size), block = ErofsFormat.block
        switch inode.layout {
        case .chunks: throw Self.damaged("a directory or symlink in chunks")
        case .plain:
            guard size > 0 else { return [] }
            let start = Int(inode.data) * block
            guard inode.data > 0, start + ErofsFormat.roundedUp(size, to: block) <= bytes.count else {
                throw Self.damaged("blocks of an inode are outside of it")
            }
            return [start..<start + size]
        case .inline:
            let rest = size % block, whole = size - rest, start = Int(inode.data) * block
            guard inode.tail % block + rest <= block, inode.tail / block == inode.offset / block || rest == 0,
                whole == 0 || inode.data > 0 && start + whole <= bytes.count, inode.tail + rest <= bytes.count
            else { throw Self.damaged("the bytes behind an inode are not in its block") }
            return (whole > 0 ? [start..<start + whole] : []) + [inode.tail..<inode.tail + rest]
        }
    }

    private mutating func directory(
        _ nid: UInt64, parent: UInt64, _ pending: inout [(nid: UInt64, parent: UInt64)]
    ) throws(DFSError) {
        summary.directories += 1
        let inode = try inode(nid, 0o040000)
        var previous: Range<Int>?
        var dots = 0
        for extent in try extents(inode) {
            for start in stride(from: extent.lowerBound, to: extent.upperBound, by: ErofsFormat.block) {
                let block = start..<min(start + ErofsFormat.block, extent.upperBound)
                dots += try names(block, of: nid, parent, &previous, &pending)
            }
        }
        guard dots == 2 else { throw Self.damaged("inode \(nid) has not the two names of dots") }
    }

    /// Returns how many of the names are dots.
    private mutating func names(
        _ block: Range<Int>, of nid: UInt64, _ parent: UInt64, _ previous: inout Range<Int>?,
        _ pending: inout [(nid: UInt64, parent: UInt64)]
    ) throws(DFSError) -> Int {
        var dots = 0
        let first = Int(try number(UInt16.self, block.lowerBound + 8))
        let count = first / ErofsFormat.direntLength
        guard count > 0, first % ErofsFormat.direntLength == 0, first < block.count else {
            throw Self.damaged("a block of names of inode \(nid)")
        }
        for i in 0..<count {
            let at = block.lowerBound + i * ErofsFormat.direntLength
            let start = block.lowerBound + Int(try number(UInt16.self, at + 8))
            var end =
                i + 1 < count
                ? block.lowerBound + Int(try number(UInt16.self, at + ErofsFormat.direntLength + 8)) : block.upperBound
            guard start < end, end <= block.upperBound else { throw Self.damaged("a name of inode \(nid)") }
            if i + 1 == count, let zero = bytes[start..<end].firstIndex(of: 0) { end = zero }
            let name = start..<end
            guard (1...255).contains(name.count), !bytes[name].contains(where: { $0 == 0 || $0 == 0x2f }) else {
                throw Self.damaged("a name of inode \(nid)")
            }
            if let previous, !Self.isBelow(bytes, previous, name) {
                throw Self.damaged("names of inode \(nid) out of order")
            }
            previous = name
            if try entry(name, try number(UInt64.self, at), bytes[at + 10], in: nid, parent, &pending) { dots += 1 }
        }
        return dots
    }

    private static func isBelow(_ bytes: UnsafeRawBufferPointer, _ a: Range<Int>, _ b: Range<Int>) -> Bool {
        let order = memcmp(bytes.baseAddress! + a.lowerBound, bytes.baseAddress! + b.lowerBound, min(a.count, b.count))
        return order < 0 || order == 0 && a.count < b.count
    }

    /// Returns whether it is one of dots.
    private mutating func entry(
        _ name: Range<Int>, _ target: UInt64, _ type: UInt8, in nid: UInt64, _ parent: UInt64,
        _ pending: inout [(nid: UInt64, parent: UInt64)]
    ) throws(DFSError) -> Bool {
        let isDots = name.count <= 2 && bytes[name].allSatisfy { $0 == 0x2e }
        if isDots {
            guard target == (name.count == 1 ? nid : parent), type == ErofsFormat.FileType.directory.rawValue else {
                throw Self.damaged("the dots of inode \(nid)")
            }
            return true
        }
        switch ErofsFormat.FileType(rawValue: type) {
        case .directory: pending.append((target, nid))
        case .file: try file(target)
        case .symlink:
            summary.symlinks += 1
            let inode = try inode(target, 0o120000)
            guard (1...4095).contains(inode.size) else { throw Self.damaged("the target of inode \(target)") }
            _ = try extents(inode)
        case nil: throw Self.damaged("a name of inode \(nid) has the type \(type)")
        }
        return false
    }

    private mutating func file(_ nid: UInt64) throws(DFSError) {
        summary.files += 1
        let inode = try inode(nid, 0o100000)
        guard inode.layout == .chunks else {
            _ = try extents(inode)
            return
        }
        guard let bits = ErofsFormat.chunkBits(inode.data), inode.size > 0 else {
            throw Self.damaged("inode \(nid) has chunks of an unknown form")
        }
        let shift = UInt64(12 + bits), count = (inode.size - 1) >> shift + 1
        let start = ErofsFormat.roundedUp(inode.tail, to: ErofsFormat.chunkIndexLength)
        guard count <= UInt64(bytes.count) else { throw Self.damaged("inode \(nid) has too many chunks") }
        for i in 0..<count {
            let at = start + Int(i) * ErofsFormat.chunkIndexLength
            let high = try number(UInt16.self, at), device = Int(try number(UInt16.self, at + 2))
            let length = min(inode.size - i << shift, 1 << shift)
            let end = UInt64(try number(UInt32.self, at + 4)) + (length + 4095) / 4096
            guard high == 0, device >= 1, device <= blocks.count, end <= UInt64(blocks[device - 1]) else {
                throw Self.damaged("chunk \(i) of inode \(nid) is outside of device \(device)")
            }
        }
        summary.chunks += count
    }
}
