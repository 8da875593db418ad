import DFSModel
import DFSSystem
import Glibc

/// A store in a directory, local or on a shared file system.
package struct DirectoryBackend: Backend {
    package let root: String

    package init(root: String) { self.root = root }

    package var location: String { root }

    package func path(_ key: String) -> String { root + "/" + key }

    /// Where files are written before they get their final name.
    package var temporaryDirectory: String { root + "/tmp" }

    package func get(_ key: String, limit: Int) throws(DFSError) -> [UInt8]? {
        try Files.readRegular(path(key), limit: limit)
    }

    package func open(_ key: String) throws(DFSError) -> any BackendObject {
        LocalObject(path: path(key), file: try Files.openRegular(path(key)).descriptor)
    }

    package func length(of key: String) throws(DFSError) -> UInt64? {
        try FileStatus.of(path: path(key), following: true)?.size
    }

    package func put(_ key: String, _ bytes: [UInt8]) throws(DFSError) {
        let file = try begin()
        try file.append(bytes)
        try publish(file, as: key)
    }

    /// A temporary file in this store, for content that is written piece by piece.
    package func begin() throws(DFSError) -> DurableFile {
        do {
            return try DurableFile(temporaryDirectory: temporaryDirectory)
        } catch {
            guard error.errno == ENOENT else { throw unwritable(error) }
            try makeFolder(temporaryDirectory)
            return try DurableFile(temporaryDirectory: temporaryDirectory)
        }
    }

    /// The user knows the store, not its temporary files.
    private func unwritable(_ error: DFSError) -> DFSError {
        guard [EACCES, EPERM, EROFS].contains(error.errno) else { return error }
        return DFSError(
            .operational, "cannot write to the store \(root)", cause: error.cause, hint: "ls -ld \(temporaryDirectory)",
            errno: error.errno)
    }

    /// Gives a finished temporary its final name. Durable on return.
    package func publish(_ file: DurableFile, as key: String) throws(DFSError) {
        let path = path(key)
        do {
            try file.publish(as: path)
        } catch {
            guard error.errno == ENOENT else { throw error }
            try makeFolder(Files.parent(path))
            try file.publish(as: path)
        }
    }

    /// Makes a folder with the permissions of the one that holds it, whatever the umask: a store is shared with whom it
    /// was made for, not with whom the user who comes first shares files.
    private func makeFolder(_ path: String) throws(DFSError) {
        let parent = Files.parent(path)
        if path.utf8.count > root.utf8.count, !Files.isDirectory(parent) { try makeFolder(parent) }
        let isNew = !Files.isDirectory(path)
        // Also when somebody else has just made it: its name may not be durable yet.
        try Files.makeDirectories(path)
        if isNew, let status = try FileStatus.of(path: parent, following: true) {
            _ = chmod(path, mode_t(status.mode & 0o2777))
        }
    }

    package func putIfAbsent(_ key: String, _ bytes: [UInt8]) throws(DFSError) -> Bool {
        let file = try begin()
        try file.append(bytes)
        try file.synchronize()
        let path = path(key)
        if !Files.isDirectory(Files.parent(path)) { try makeFolder(Files.parent(path)) }
        #if DEBUG || DFS_DEFECTS
            if Defect.replaceEntry.isPlanted {
                try file.replace(path)
                return true
            }
        #endif
        do {
            try file.link(as: path)
        } catch {
            // On NFS a failed call may have succeeded: what stands there decides.
            guard let standing = try get(key, limit: max(1 << 26, bytes.count)) else { throw error }
            guard standing == bytes else {
                if error.errno == EEXIST { return false }
                throw error
            }
        }
        // A failure here is reported once and then forgotten by the kernel: it must not be tried again.
        try Files.synchronizeDirectory(Files.parent(path))
        return true
    }

    package func settle(_ key: String) throws(DFSError) {
        let path = path(key)
        let file = try Files.openRegular(path).descriptor
        try System.call("cannot fsync \(path)", fault: "fsync") { fsync(file.raw) }
        try Files.synchronizeDirectory(Files.parent(path))
        try Files.synchronizeDirectory(Files.parent(Files.parent(path)))
    }

    /// Gives an object a second name in `aside/`, with a file that says why, before another takes its place. Nothing removes
    /// what lies there.
    package func setAside(_ key: String, reason: String) throws(DFSError) {
        let name = (key.split(separator: "/").last.map(String.init) ?? key) + "." + Randomness.hex(bytes: 6)
        try put("aside/\(name).why", Array((reason + "\n").utf8))
        let target = path("aside/\(name)")
        do {
            try System.call("cannot link \(target)", fault: "link") { Glibc.link(path(key), target) }
        } catch {
            // Some file systems have no second names: then the place is empty until the other comes.
            guard [EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(error.errno) else { throw error }
            try System.call("cannot rename to \(target)", fault: "rename") { rename(path(key), target) }
        }
        try Files.synchronizeDirectory(path("aside"))
    }

    package func remove(_ key: String) throws(DFSError) { try Files.remove(path(key)) }

    package func list(_ prefix: String) throws(DFSError) -> [String] {
        var keys = [String]()
        try collect(prefix, into: &keys)
        return keys.sorted()
    }

    private func collect(_ prefix: String, into keys: inout [String]) throws(DFSError) {
        let directory = path(String(prefix.dropLast(prefix.hasSuffix("/") ? 1 : 0)))
        guard Files.isDirectory(directory) else { return }
        for name in try DirectoryListing.names(of: directory) {
            let key = prefix + NameText.encode(name)
            // A link that leads back up would have no end.
            let isDirectory = try FileStatus.of(path: path(key))?.kind == .directory
            if isDirectory { try collect(key + "/", into: &keys) } else { keys.append(key) }
        }
    }

    package func time() throws(DFSError) -> Timestamp {
        try begin().status().modified
    }

    package func freeSpace() throws(DFSError) -> UInt64? {
        var s = statvfs()
        try System.call("cannot ask \(root) for its free space") { statvfs(root, &s) }
        return UInt64(s.f_bavail) * UInt64(s.f_frsize)
    }
}

private struct LocalObject: BackendObject {
    let path: String
    let file: OwnedDescriptor

    var descriptor: OwnedDescriptor? { file }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DFSError) {
        try Files.read(into: buffer, from: file.raw, at: offset, what: path)
    }
}
