import DFSModel
import DFSStore
import DFSSystem
import Glibc

extension VirtualTree {
    /// Fills `buffer` from `offset` on and returns how many bytes there were; fewer than asked only at the end.
    package func read(
        _ id: NodeID, at offset: UInt64, caller: Int32 = 0, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        switch try node(id) {
        case .directory: throw DFSError(.operational, "a directory cannot be read", errno: EISDIR)
        case .link: throw DFSError(.operational, "a symlink cannot be read", errno: EINVAL)
        case .entry(let entry, let stored):
            guard entry.kind == .file else { throw DFSError(.operational, "not a file", errno: EINVAL) }
            if options.denials.standing(of: entry, in: stored.standing).isDenied {
                throw refuse("read", NodeID(directory: id.directory), name: entry.name, caller)
            }
            accesses?.note(id)
            return try read(entry, at: offset, into: buffer)
        case .document(let bytes, _, _):
            guard offset < UInt64(bytes.count) else { return 0 }
            let part = bytes[Int(offset)...].prefix(buffer.count)
            buffer.copyBytes(from: part)
            return part.count
        case .liveMetrics(let name, let location):
            guard let file = try liveFile(name, in: location) else { return 0 }
            return try read(file.descriptor, at: offset, into: buffer)
        case .live(let key, let location):
            return try read(key, in: location, id: id, at: offset, into: buffer)
        }
    }

    private func read(
        _ file: TreeEntry, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        guard offset < file.size, buffer.count > 0 else { return 0 }
        let count = Int(min(UInt64(buffer.count), file.size - offset))
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        let done = try content.read(file, at: offset, count: count, into: part)
        guard done == count else {
            throw DFSError(
                .corrupt, "\(NameText.display(file.name)) ends early", cause: "\(done) of \(count) bytes at \(offset)",
                hint: "dfs verify --data")
        }
        return done
    }

    /// A local file with the bytes of a file that is being opened, which the kernel may read by itself; `nil` where `read` is
    /// to be used: also for all that may still change.
    package func backing(of id: NodeID) throws(DFSError) -> BackingFile? {
        guard id.item < NodeID.firstLive, case .entry(let entry, let stored) = try node(id), stored.isImmutable,
            entry.kind == .file
        else { return nil }
        return content.backing(of: entry)
    }

    /// The target of a symlink.
    package func target(of id: NodeID) throws(DFSError) -> [UInt8] {
        switch try node(id) {
        case .link(let link): return link.target
        case .entry(let entry, _) where entry.kind == .symlink: return entry.target
        case .live(let key, let location):
            guard let directory = try open(location), try FileStatus.of(key.name, at: directory.raw)?.inode == key.inode
            else { throw Self.stale(id) }
            return try Beneath.linkTarget(key.name, in: directory)
        default: throw DFSError(.operational, "not a symlink", errno: EINVAL)
        }
    }

    /// Extended attributes in the order in which they are listed.
    package func extendedAttributes(of id: NodeID) throws(DFSError) -> [(name: String, value: String)] {
        let entry: TreeEntry
        let provenance: Provenance?
        switch try node(id) {
        case .directory(_, .stored(let stored)): (entry, provenance) = (stored.entry, stored.provenance)
        case .entry(let found, let stored): (entry, provenance) = (found, stored.provenance)
        default: return []
        }
        var out = [(name: String, value: String)]()
        switch entry.kind {
        case .file: out.append(("user.dfs.sha256", entry.content.digest.hex))
        case .directory: out.append(("user.dfs.digest", entry.content.digest.text))
        // The kernel has no attributes of users on symlinks: what it would list could not be read.
        case .symlink: return []
        }
        if let provenance {
            out.append(("user.dfs.dataset", provenance.dataset))
            out.append(("user.dfs.version", "v\(provenance.version)"))
        }
        return out
    }
}
