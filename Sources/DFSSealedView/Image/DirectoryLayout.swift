import DFSModel

/// How the names of a directory fall into blocks. Names come in byte order, with `.` and `..` in their places.
struct DirectoryLayout: Sendable, Equatable {
    /// Blocks that are full, and bytes used of the one behind them.
    private(set) var fullBlocks = 0
    private(set) var lastBytes = 0

    /// Takes in a name; returns whether it begins a new block.
    @discardableResult
    mutating func add(nameLength: Int) -> Bool {
        let needed = ErofsFormat.direntLength + nameLength
        guard lastBytes + needed > ErofsFormat.block else {
            lastBytes += needed
            return false
        }
        fullBlocks += 1
        lastBytes = needed
        return true
    }

    /// The length that the inode tells.
    var size: UInt64 { UInt64(fullBlocks * ErofsFormat.block + lastBytes) }
}

/// One name of a directory and what it leads to.
struct Dirent {
    var name: ArraySlice<UInt8>
    var nid: UInt64
    var type: ErofsFormat.FileType
}

/// Puts the names of a directory into blocks.
struct DirectoryBlocks {
    private var layout = DirectoryLayout()
    private var block = [Dirent]()
    /// Blocks that are full, one after the other, and what is in the last one.
    private(set) var full = [UInt8]()

    mutating func add(_ dirent: Dirent) {
        if layout.add(nameLength: dirent.name.count) {
            full += Self.encode(block)
            full += [UInt8](repeating: 0, count: ErofsFormat.roundedUp(full.count, to: ErofsFormat.block) - full.count)
            block.removeAll(keepingCapacity: true)
        }
        block.append(dirent)
    }

    /// The last block's content, without padding.
    var last: [UInt8] { Self.encode(block) }

    private static func encode(_ block: [Dirent]) -> [UInt8] {
        var out = ByteWriter()
        var at = block.count * ErofsFormat.direntLength
        for dirent in block {
            out.put(dirent.nid)
            out.put(UInt16(at))
            out.put(dirent.type.rawValue)
            out.put(UInt8(0))
            at += dirent.name.count
        }
        for dirent in block { out.put(dirent.name) }
        return out.bytes
    }
}
