import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// The file of an image while it is written, by several threads at places of their own.
final class ImageFile: Sendable {
    /// Only its descriptor is used by more than one thread.
    nonisolated(unsafe) private let file: DurableFile
    private let end: Atomic<UInt64>

    init(temporaryDirectory: String, from start: UInt64) throws(DFSError) {
        file = try DurableFile(temporaryDirectory: temporaryDirectory, mode: 0o400)
        end = Atomic(start)
    }

    /// The offset of so many fresh blocks.
    func allocate(blocks: Int) -> UInt64 {
        end.wrappingAdd(UInt64(blocks * ErofsFormat.block), ordering: .relaxed).oldValue
    }

    var length: UInt64 { end.load(ordering: .relaxed) }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(DFSError) {
        var done = 0
        while done < bytes.count {
            done += try System.call("cannot write an image", fault: "write") {
                bytes.withUnsafeBytes {
                    pwrite(file.descriptor.raw, $0.baseAddress! + done, $0.count - done, off_t(offset) + off_t(done))
                }
            }
        }
    }

    var descriptor: OwnedDescriptor { file.descriptor }

    /// Gives the file its length.
    func close() throws(DFSError) {
        try System.call("cannot set the length of an image", fault: "write") {
            ftruncate(file.descriptor.raw, off_t(length))
        }
    }

    /// Makes it durable under its name.
    func publish(as path: String) throws(DFSError) { try file.replace(path) }
}

/// Puts inodes one behind the other into extents of an image. Used by one thread.
struct InodeWriter {
    private let image: ImageFile
    private let extentBlocks: Int
    private var staged = [UInt8]()
    private var base: UInt64 = 0
    private var used = 0
    /// What the next inode may be put together in.
    var scratch = ByteWriter()

    init(image: ImageFile, extentBlocks: Int = 256) {
        self.image = image
        self.extentBlocks = extentBlocks
    }

    /// Reserves room for an inode of `length` bytes, of which the first `together` must lie in one block.
    private mutating func reserve(_ length: Int, together: Int) throws(DFSError) -> Int {
        var at = ErofsFormat.roundedUp(used, to: ErofsFormat.slot)
        if at % ErofsFormat.block + together > ErofsFormat.block {
            at = ErofsFormat.roundedUp(at, to: ErofsFormat.block)
        }
        if at + length > staged.count {
            try flush()
            let blocks = max(extentBlocks, ErofsFormat.roundedUp(length, to: ErofsFormat.block) / ErofsFormat.block)
            base = image.allocate(blocks: blocks)
            staged = [UInt8](repeating: 0, count: blocks * ErofsFormat.block)
            at = 0
        }
        used = at + length
        return at
    }

    /// Puts what is in `scratch` and returns its number.
    mutating func put(together: Int) throws(DFSError) -> UInt64 {
        let at = try reserve(scratch.bytes.count, together: together)
        let scratch = scratch.bytes
        staged.withUnsafeMutableBytes { target in
            scratch.withUnsafeBytes {
                target.baseAddress!.advanced(by: at).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
            }
        }
        return ErofsFormat.nid(at: base + UInt64(at))
    }

    mutating func flush() throws(DFSError) {
        guard used > 0 else { return }
        // The rest of the extent is zeros already: a hole.
        try image.write(Array(staged[..<used]), at: base)
        staged = []
        used = 0
    }
}

/// Puts extended attributes that inodes refer to one behind the other. Used by one thread.
struct AttributeWriter {
    private let image: ImageFile
    private var staged = [UInt8]()
    private var base: UInt64 = 0
    private static let extentBlocks = 64

    init(image: ImageFile) { self.image = image }

    /// What inodes call it.
    mutating func put(_ attribute: [UInt8]) throws(DFSError) -> UInt32 {
        let block = ErofsFormat.block
        if staged.count % block + attribute.count > block {
            staged += [UInt8](repeating: 0, count: block - staged.count % block)
        }
        if staged.isEmpty || staged.count + attribute.count > Self.extentBlocks * block {
            try flush()
            base = image.allocate(blocks: Self.extentBlocks)
            staged.reserveCapacity(Self.extentBlocks * block)
        }
        guard let id = UInt32(exactly: (base + UInt64(staged.count)) / 4) else {
            throw DFSError(.cannotServe, "a view of this version cannot be sealed", cause: "its image is too large")
        }
        staged += attribute
        return id
    }

    mutating func flush() throws(DFSError) {
        if !staged.isEmpty { try image.write(staged, at: base) }
        staged.removeAll(keepingCapacity: true)
    }
}

/// Places for the inodes of directories, which are written when all that is in them has a number. Thread-safe.
final class DirectorySlots: Sendable {
    private struct State: Sendable {
        var at: UInt64 = 0
        var end: UInt64 = 0
    }
    private let image: ImageFile
    private let state = Mutex(State())
    private static let extentBlocks = 64

    init(image: ImageFile) { self.image = image }

    /// The offset for an inode that lies in one block; `length` is at most a block.
    func place(_ length: Int) -> UInt64 {
        let block = UInt64(ErofsFormat.block)
        return state.withLock { state in
            var at = ErofsFormat.roundedUp(state.at, to: UInt64(ErofsFormat.slot))
            if at % block + UInt64(length) > block { at = ErofsFormat.roundedUp(at, to: block) }
            if at + UInt64(length) > state.end {
                at = image.allocate(blocks: Self.extentBlocks)
                state.end = at + UInt64(Self.extentBlocks) * block
            }
            state.at = at + UInt64(length)
            return at
        }
    }
}
