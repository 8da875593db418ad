import DFSModel
import DFSSystem
import Glibc

/// Files of live runs, read where the job writes them and never kept.
extension VirtualTree {
    /// Reaches the directory; `nil` when it is not there (not yet, or sealed a moment ago).
    func open(_ location: LiveLocation) throws(DFSError) -> OwnedDescriptor? {
        do {
            return try Beneath.directory(location.components, below: location.root)
        } catch {
            switch error.errno {
            case ENOENT, ENOTDIR, ELOOP: return nil
            default: throw error
            }
        }
    }

    /// The status of what the id stood for when it was looked up; ESTALE when another file has its name.
    func status(_ key: LiveNodes.Key, in location: LiveLocation, id: NodeID) throws(DFSError) -> FileStatus {
        guard let directory = try open(location), let status = try FileStatus.of(key.name, at: directory.raw),
            status.inode == key.inode
        else { throw Self.stale(id) }
        return status
    }

    func attributes(live id: NodeID, status: FileStatus) -> Attributes {
        let kind: NodeKind =
            switch status.kind {
            case .directory: .directory
            case .symlink: .symlink
            default: .file
            }
        // Directories keep their number when the run is sealed; files are others then, so their inode numbers come
        // from the real ones, in a range that no other id uses.
        return Attributes(
            id: id, inode: kind == .directory ? id.raw : Self.inode(live: status.inode), kind: kind,
            mode: status.mode & 0o777, size: kind == .directory ? 4096 : status.size,
            modified: modified(status), lifetime: .none)
    }

    static func inode(live inode: UInt64) -> UInt64 { inode | 1 << 63 }

    /// The mtime, changed by less than a millisecond while it is so young that a second change could leave it as it
    /// is: kernels drop what they keep when they see another mtime. A directory's differs by one nanosecond even when it is
    /// old, so that the listing kept of it does not outlive the sealing of the run.
    private func modified(_ status: FileStatus) -> Timestamp {
        let age = Clock.now().seconds &- status.modified.seconds
        let shift: UInt32
        if (-86400...2).contains(age) {
            shift = 2 + UInt32(truncatingIfNeeded: freshness.increment() % 900_000)
        } else {
            shift = status.kind == .directory ? 1 : 0
        }
        let nanoseconds = status.modified.nanoseconds + shift
        return nanoseconds < 1_000_000_000
            ? Timestamp(seconds: status.modified.seconds, nanoseconds: nanoseconds)
            : Timestamp(seconds: status.modified.seconds &+ 1, nanoseconds: nanoseconds - 1_000_000_000)
    }

    /// A name in a live directory. Only files, directories and symlinks are shown.
    func lookup(_ name: [UInt8], in location: LiveLocation, number: UInt32) throws(DFSError) -> LookupResult {
        guard let directory = try open(location), let status = try FileStatus.of(name, at: directory.raw) else {
            return .absent(lifetime: .none)
        }
        switch status.kind {
        case .directory:
            let child = try table.number(of: .below(number, name: name))
            return .found(attributes(live: NodeID(directory: child), status: status), lifetime: .none)
        case .file, .symlink:
            let id = live.retain(LiveNodes.Key(directory: number, name: name, inode: status.inode))
            return .found(attributes(live: id, status: status), lifetime: .none)
        default:
            return .absent(lifetime: .none)
        }
    }

    /// Attributes of a live directory. The root of a tree is there even while the real one is not: an answer
    /// of "absent" would detach what a job has mounted there.
    func attributes(
        _ location: LiveLocation, id: NodeID
    ) throws(DFSError) -> Attributes {
        if let directory = try open(location) {
            return attributes(live: id, status: try FileStatus.of(directory))
        }
        guard location.isTop else { throw Self.absent("the directory is gone") }
        return .directory(id, modified: started, lifetime: .none)
    }

    func list(
        _ location: LiveLocation, number: UInt32, after cookie: UInt64, _ body: (Listed) -> Bool
    ) throws(DFSError) {
        guard try open(location) != nil else { return }
        let directory = try Beneath.listing(location.components, below: location.root)
        let id = NodeID(directory: number)
        try DirectoryListing.resume(directory, from: cookie) { listed in
            let kind: NodeKind
            switch Int(listed.type) {
            case Int(DT_DIR): kind = .directory
            case Int(DT_REG): kind = .file
            case Int(DT_LNK): kind = .symlink
            default: return true
            }
            let inode = listed.name == [0x2e] ? id.raw : Self.inode(live: listed.inode)
            let attributes = Attributes(
                id: id, inode: inode, kind: kind, mode: 0, size: 0, modified: started, lifetime: .none)
            return body(
                Listed(
                    name: listed.name, attributes: attributes, lifetime: .none, next: listed.next, isComplete: false))
        }
    }

    /// Bytes of a live file, as they are now.
    func read(
        _ key: LiveNodes.Key, in location: LiveLocation, id: NodeID, at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        guard let directory = try open(location), let file = try Beneath.file(key.name, in: directory),
            file.status.inode == key.inode
        else { throw Self.stale(id) }
        return try read(file.descriptor, at: offset, into: buffer)
    }

    func read(
        _ descriptor: OwnedDescriptor, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DFSError) -> Int {
        guard let start = off_t(exactly: offset) else { return 0 }
        var done = 0
        while done < buffer.count {
            let (position, overflow) = start.addingReportingOverflow(off_t(done))
            if overflow { break }
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try System.call("cannot read a file of a live run", fault: "read") {
                pread(descriptor.raw, rest.baseAddress, rest.count, position)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// The file of this name that a source gave, in its directory.
    func liveFile(
        _ name: [UInt8], in location: LiveLocation
    ) throws(DFSError) -> (descriptor: OwnedDescriptor, status: FileStatus)? {
        guard let directory = try open(location) else { return nil }
        do {
            return try Beneath.file(name, in: directory)
        } catch {
            if error.errno == ENOENT || error.errno == ELOOP { return nil }
            throw error
        }
    }
}
