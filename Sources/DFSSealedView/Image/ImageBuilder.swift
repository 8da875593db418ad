import DFSHistory
import DFSModel
import DFSStore
import DFSSystem
import Synchronization

/// What a sealed view shows.
package struct ViewSubject: Sendable, Hashable {
    package let tree: TreeReference
    package let modified: Timestamp
    /// The dataset and version, for extended attributes; none of a code snapshot.
    package let dataset: String?
    package let version: Int?
    /// Which permission bits the root keeps: a view that others may enter shows them no more than the store would.
    package var rootMask: UInt16

    package init(
        tree: TreeReference, modified: Timestamp, dataset: String? = nil, version: Int? = nil,
        rootMask: UInt16 = 0o700
    ) {
        self.rootMask = rootMask
        self.tree = tree
        self.modified = modified
        self.dataset = dataset
        self.version = version
    }
}

/// Writes the image of a tree: directories, inodes and extended attributes, with the blocks of files in packs and hot packs.
///
/// Works top down on all threads: a directory gets its place as soon as its names are known, what is in it gets numbers leaf by
/// leaf, and when the last leaf is done its names are written. So nothing is held for files but the number of each in the
/// directories that are being worked on.
final class ImageBuilder: Sendable {
    private let reader: TreeReader
    private let image: ImageFile
    private let slots: DirectorySlots
    private let sharedAttributes: [UInt32]
    private let sharedBytes: [UInt8]
    private let owner: (uid: UInt32, gid: UInt32)
    private let stack = WorkStack<Job>()
    private let inodes = Atomic<UInt64>(0)
    let totals: ViewTotals
    private let progress: Counter

    private enum Job: Sendable {
        case directory(Directory)
        /// A leaf of a directory's tree.
        case leaf(Directory, Int)
    }

    /// A directory whose inode has a place.
    private final class Directory: Sendable {
        let entry: TreeEntry
        let parent: UInt64
        let offset: UInt64
        let layout: DirectoryLayout
        let isInline: Bool
        let blocksAt: UInt64
        let leaves: [ObjectAddress]
        private let parts: Mutex<(open: Int, leaves: [LeafNames?])>

        init(
            entry: TreeEntry, parent: UInt64?, offset: UInt64, layout: DirectoryLayout, isInline: Bool,
            blocksAt: UInt64, leaves: [ObjectAddress]
        ) {
            self.entry = entry
            self.offset = offset
            self.layout = layout
            self.isInline = isInline
            self.blocksAt = blocksAt
            self.leaves = leaves
            self.parent = parent ?? ErofsFormat.nid(at: offset)
            parts = Mutex((leaves.count, Array(repeating: nil, count: leaves.count)))
        }

        var nid: UInt64 { ErofsFormat.nid(at: offset) }

        /// Keeps what a leaf came to; returns all leaves when it was the last.
        func take(_ names: LeafNames, at leaf: Int) -> [LeafNames]? {
            parts.withLock { parts in
                parts.leaves[leaf] = names
                parts.open -= 1
                guard parts.open == 0 else { return nil }
                defer { parts.leaves = [] }
                return parts.leaves.compactMap { $0 }
            }
        }
    }

    /// The names of a leaf and the numbers that they lead to.
    private struct LeafNames: Sendable {
        var names = [UInt8]()
        var ends = [UInt32]()
        var nids = [UInt64]()
        var types = [UInt8]()

        mutating func add(_ name: [UInt8], _ nid: UInt64, _ type: ErofsFormat.FileType) {
            names += name
            ends.append(UInt32(names.count))
            nids.append(nid)
            types.append(type.rawValue)
        }
    }

    init(
        reader: TreeReader, image: ImageFile, subject: ViewSubject, owner: (uid: UInt32, gid: UInt32),
        totals: ViewTotals, progress: Counter
    ) {
        self.reader = reader
        self.image = image
        self.owner = owner
        self.totals = totals
        self.progress = progress
        slots = DirectorySlots(image: image)
        var shared = [UInt8](), ids = [UInt32]()
        if let dataset = subject.dataset, let version = subject.version {
            for (name, value) in [("dfs.dataset", dataset), ("dfs.version", "v\(version)")] {
                ids.append(UInt32((ErofsFormat.sharedAttributesOffset + shared.count) / 4))
                shared += ErofsFormat.attribute(name, value)
            }
        }
        sharedAttributes = ids
        sharedBytes = shared
    }

    var inodeCount: UInt64 { inodes.load(ordering: .relaxed) }

    /// Writes all of `root`'s tree; `mappers` has one for each thread.
    func run(_ root: TreeEntry, mappers: [FileMapper]) throws(DFSError) {
        try image.write(sharedBytes, at: UInt64(ErofsFormat.sharedAttributesOffset))
        stack.push(.directory(try prepare(root, parent: nil)))
        let writers = mappers.map {
            Worker(mapper: $0, writer: InodeWriter(image: image), attributes: AttributeWriter(image: image))
        }
        try stack.run(threads: mappers.count) { thread, job throws(DFSError) in
            let worker = writers[thread]
            switch job {
            case .directory(let directory):
                if directory.leaves.isEmpty { return try self.finish(directory, []) }
                // The first leaf is taken first.
                self.stack.push(directory.leaves.indices.reversed().map { .leaf(directory, $0) })
            case .leaf(let directory, let number): try self.leaf(number, of: directory, worker)
            }
        }
        for worker in writers {
            try worker.writer.flush()
            try worker.attributes.flush()
        }
    }

    /// What one thread works with.
    private final class Worker: @unchecked Sendable {
        let mapper: FileMapper
        var writer: InodeWriter
        var attributes: AttributeWriter
        init(mapper: FileMapper, writer: InodeWriter, attributes: AttributeWriter) {
            self.attributes = attributes
            self.mapper = mapper
            self.writer = writer
        }
    }

    // MARK: Directories

    private static let dot: [UInt8] = [0x2e], dots: [UInt8] = [0x2e, 0x2e]

    private func attributes(_ name: String, _ value: String) -> [UInt8] {
        var out = ByteWriter()
        ErofsFormat.appendAttributes(
            shared: sharedAttributes, own: ErofsFormat.attribute(name, value), to: &out)
        return out.bytes
    }

    private func directoryAttributes(_ entry: TreeEntry) -> [UInt8] {
        attributes("dfs.digest", entry.content.digest.text)
    }

    /// Reads a directory's names and gives it a place.
    private func prepare(_ entry: TreeEntry, parent: UInt64?) throws(DFSError) -> Directory {
        guard let address = entry.address else {
            throw DFSError(.corrupt, "directory \(NameText.display(entry.name)) has no tree", hint: "dfs verify")
        }
        let leaves = try reader.leaves(of: address).map(\.address)
        var layout = DirectoryLayout()
        var dots = [Self.dot, Self.dots][...]
        for leaf in leaves {
            let node = try reader.node(leaf)
            for i in 0..<node.count {
                let name = node.name(i)
                while let dot = dots.first, dot.lexicographicallyPrecedes(name) {
                    layout.add(nameLength: dot.count)
                    dots.removeFirst()
                }
                layout.add(nameLength: name.count)
            }
        }
        for dot in dots { layout.add(nameLength: dot.count) }
        let head = ErofsFormat.inodeLength + directoryAttributes(entry).count
        // The root lies at a fixed place, where no names fit.
        let isInline = parent != nil && head + layout.lastBytes <= ErofsFormat.block
        let blocks = layout.fullBlocks + (isInline ? 0 : 1)
        totals.directories.increment()
        return Directory(
            entry: entry, parent: parent,
            offset: parent == nil
                ? UInt64(ErofsFormat.rootOffset) : slots.place(head + (isInline ? layout.lastBytes : 0)),
            layout: layout, isInline: isInline, blocksAt: blocks == 0 ? 0 : image.allocate(blocks: blocks),
            leaves: leaves)
    }

    private func leaf(_ number: Int, of directory: Directory, _ worker: Worker) throws(DFSError) {
        let node = try reader.node(directory.leaves[number])
        guard node.level == 0 else {
            throw DFSError(.corrupt, "tree node \(directory.leaves[number]) is no leaf", hint: "dfs verify")
        }
        var names = LeafNames()
        var below = [Job]()
        for i in 0..<node.count {
            let entry = node.entry(i)
            switch entry.kind {
            case .file:
                names.add(entry.name, try file(entry, worker), .file)
                totals.files.increment()
            case .symlink:
                names.add(entry.name, try symlink(entry, worker), .symlink)
                totals.symlinks.increment()
            case .directory:
                let child = try prepare(entry, parent: directory.nid)
                names.add(entry.name, child.nid, .directory)
                below.append(.directory(child))
            }
        }
        progress.increment(by: node.count)
        stack.push(below)
        if let all = directory.take(names, at: number) { try finish(directory, all) }
    }

    /// Writes a directory's names and its inode.
    private func finish(_ directory: Directory, _ leaves: [LeafNames]) throws(DFSError) {
        var blocks = DirectoryBlocks()
        var dots = [Dirent(name: Self.dot[...], nid: directory.nid, type: .directory)][...]
        dots.append(Dirent(name: Self.dots[...], nid: directory.parent, type: .directory))
        for leaf in leaves {
            var start = 0
            for i in leaf.nids.indices {
                let name = leaf.names[start..<Int(leaf.ends[i])]
                start = Int(leaf.ends[i])
                while let dot = dots.first, dot.name.lexicographicallyPrecedes(name) {
                    blocks.add(dot)
                    dots.removeFirst()
                }
                blocks.add(
                    Dirent(name: name, nid: leaf.nids[i], type: ErofsFormat.FileType(rawValue: leaf.types[i]) ?? .file))
            }
        }
        for dot in dots { blocks.add(dot) }
        let last = blocks.last
        guard blocks.full.count == directory.layout.fullBlocks * ErofsFormat.block,
            last.count == directory.layout.lastBytes
        else { throw DFSError(.corrupt, "a directory has changed while it was sealed", hint: "dfs verify") }
        let attributes = directoryAttributes(directory.entry)
        var out = ByteWriter()
        ErofsFormat.Inode(
            layout: directory.isInline ? .inline : .plain, mode: 0o040000 | directory.entry.mode & 0o777,
            size: directory.layout.size,
            data: UInt32(truncatingIfNeeded: directory.blocksAt / UInt64(ErofsFormat.block)),
            number: UInt32(truncatingIfNeeded: directory.nid), uid: owner.uid, gid: owner.gid,
            modified: directory.entry.modified, links: 2, attributesLength: attributes.count
        ).append(to: &out)
        out.put(attributes)
        if directory.isInline {
            out.put(last)
            if !blocks.full.isEmpty { try image.write(blocks.full, at: directory.blocksAt) }
        } else {
            try image.write(blocks.full + last, at: directory.blocksAt)
        }
        try image.write(out.bytes, at: directory.offset)
        inodes.wrappingAdd(1, ordering: .relaxed)
    }

    // MARK: Files and symlinks

    /// Bytes of the attributes of any file behind its inode. Its digest lies elsewhere, with those of others: who lists files and
    /// reads them passes over half as much.
    private var fileAttributesLength: Int { 12 + (1 + sharedAttributes.count) * 4 }

    private func file(_ entry: TreeEntry, _ worker: Worker) throws(DFSError) -> UInt64 {
        let head = ErofsFormat.inodeLength + fileAttributesLength
        let placement = try worker.mapper.place(entry, inlineLimit: ErofsFormat.block - head)
        let layout: ErofsFormat.Layout
        var data: UInt32 = 0
        switch placement {
        case .empty: layout = .plain
        case .inline: layout = .inline
        case .chunks(let bits, _):
            layout = .chunks
            data = ErofsFormat.chunkForm(bits: bits)
        }
        worker.writer.scratch.clear()
        ErofsFormat.Inode(
            layout: layout, mode: 0o100000 | entry.mode & 0o777, size: entry.size, data: data, number: number(),
            uid: owner.uid, gid: owner.gid, modified: entry.modified, links: 1,
            attributesLength: fileAttributesLength
        ).append(to: &worker.writer.scratch)
        let digest = try worker.attributes.put(ErofsFormat.attribute("dfs.sha256", entry.content.digest.hex))
        ErofsFormat.appendAttributes(shared: [digest] + sharedAttributes, own: [], to: &worker.writer.scratch)
        var together = head
        switch placement {
        case .empty: break
        case .inline(let bytes):
            worker.writer.scratch.put(bytes)
            together += bytes.count
        case .chunks(_, let chunks):
            worker.writer.scratch.pad(to: ErofsFormat.chunkIndexLength)
            for chunk in chunks { ErofsFormat.appendChunk(chunk, to: &worker.writer.scratch) }
        }
        return try worker.writer.put(together: together)
    }

    private func symlink(_ entry: TreeEntry, _ worker: Worker) throws(DFSError) -> UInt64 {
        let isInline = ErofsFormat.inodeLength + entry.target.count <= ErofsFormat.block
        var block: UInt64 = 0
        if !isInline {
            block = image.allocate(blocks: 1)
            try image.write(entry.target, at: block)
        }
        worker.writer.scratch.clear()
        ErofsFormat.Inode(
            layout: isInline ? .inline : .plain, mode: 0o120777, size: UInt64(entry.target.count),
            data: UInt32(truncatingIfNeeded: block / UInt64(ErofsFormat.block)), number: number(), uid: owner.uid,
            gid: owner.gid, modified: entry.modified, links: 1, attributesLength: 0
        ).append(to: &worker.writer.scratch)
        if isInline { worker.writer.scratch.put(entry.target) }
        return try worker.writer.put(together: min(worker.writer.scratch.bytes.count, ErofsFormat.block))
    }

    /// What 32-bit programs see; the kernel's own number is the inode's place.
    private func number() -> UInt32 {
        UInt32(truncatingIfNeeded: inodes.wrappingAdd(1, ordering: .relaxed).newValue)
    }
}
