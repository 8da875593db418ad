import CLinux
import DFSModel
import Glibc

/// Whole-file and directory operations on text paths.
package enum Files {
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    package static func isDirectory(_ path: String) -> Bool {
        var s = stat()
        return stat(path, &s) == 0 && s.st_mode & S_IFMT == S_IFDIR
    }

    /// Opens a regular file for reading. Anything else is `.corrupt`: a fifo would keep the caller waiting for ever.
    package static func openRegular(
        _ path: String
    ) throws(DFSError) -> (descriptor: OwnedDescriptor, status: FileStatus) {
        let descriptor: OwnedDescriptor
        do throws(DFSError) {
            descriptor = try OwnedDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        } catch {
            // What open(2) says of a socket, and of a device that is not there.
            if error.errno == ENXIO { throw notRegular(path) }
            throw error
        }
        let status = try FileStatus.of(descriptor)
        guard status.kind == .file else { throw notRegular(path) }
        return (descriptor, status)
    }

    private static func notRegular(_ path: String) -> DFSError {
        DFSError(
            .corrupt, "\(path) is no regular file", cause: "something else stands in its place", hint: "ls -l \(path)")
    }

    /// Reads a whole file; `nil` when it does not exist. Refuses more than `limit` bytes. Waits for who writes a fifo: a
    /// file of the user's own may be one.
    package static func read(_ path: String, limit: Int = 1 << 30) throws(DFSError) -> [UInt8]? {
        let fd: OwnedDescriptor
        do {
            fd = try OwnedDescriptor.open(path, O_RDONLY)
        } catch {
            if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
            throw error
        }
        return try read(fd, what: path, limit: limit)
    }

    /// As `read`, of what `openRegular` opens.
    package static func readRegular(_ path: String, limit: Int) throws(DFSError) -> [UInt8]? {
        do throws(DFSError) {
            let (file, status) = try openRegular(path)
            return try read(file, status, what: path, limit: limit)
        } catch {
            if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
            throw error
        }
    }

    /// Reads from the current position to the end.
    package static func read(_ fd: OwnedDescriptor, what: String, limit: Int = 1 << 30) throws(DFSError) -> [UInt8] {
        try read(fd, try FileStatus.of(fd), what: what, limit: limit)
    }

    private static func read(
        _ fd: OwnedDescriptor, _ status: FileStatus, what: String, limit: Int
    ) throws(DFSError) -> [UInt8] {
        guard status.size <= UInt64(limit) else {
            throw DFSError(.corrupt, "\(what) is larger than it can be", cause: "\(status.size) bytes")
        }
        var out = [UInt8]()
        let step = max(4096, Int(status.size) + 1)
        while true {
            let start = out.count
            var failure: DFSError?
            let got = Array<UInt8>(unsafeUninitializedCapacity: step) { buffer, count in
                do throws(DFSError) {
                    count = try System.call("cannot read \(what)", fault: "read") {
                        Glibc.read(fd.raw, buffer.baseAddress, buffer.count)
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
            if got.isEmpty { return out }
            if start == 0 { out = got } else { out += got }
            guard out.count <= limit else { throw DFSError(.corrupt, "\(what) is larger than it can be") }
        }
    }

    /// pread(2) until `buffer` is full; an earlier end is `.corrupt`.
    package static func read(
        into buffer: UnsafeMutableRawBufferPointer, from fd: Int32, at offset: UInt64,
        what: @autoclosure () -> String
    ) throws(DFSError) {
        var done = 0
        while done < buffer.count {
            let n = try System.call("cannot read \(what())", fault: "read") {
                pread(fd, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            if n == 0 {
                throw DFSError(
                    .corrupt, "\(what()) ends early", cause: "at byte \(offset + UInt64(done))", hint: "dfs verify")
            }
            done += n
        }
    }

    /// Writes all bytes at the current position.
    package static func write(_ bytes: some Collection<UInt8>, to fd: Int32, what: @autoclosure () -> String)
        throws(DFSError)
    {
        let array = (bytes as? [UInt8]) ?? Array(bytes)
        var failure: DFSError?
        array.withUnsafeBytes { buffer in
            do throws(DFSError) { try write(buffer, to: fd, what: what()) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    package static func write(_ buffer: UnsafeRawBufferPointer, to fd: Int32, what: @autoclosure () -> String)
        throws(DFSError)
    {
        var done = 0
        while done < buffer.count {
            done += try System.call("cannot write \(what())", fault: "write") {
                Glibc.write(fd, buffer.baseAddress! + done, buffer.count - done)
            }
        }
    }

    /// mkdir -p. Fsyncs each parent in which a directory was made.
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o777) throws(DFSError) {
        if isDirectory(path) { return }
        let parent = Self.parent(path)
        if parent != path { try makeDirectories(parent, mode: mode) }
        do {
            try System.call("cannot make directory \(path)", fault: "mkdir") { mkdir(path, mode) }
        } catch {
            guard error.errno == EEXIST, isDirectory(path) else { throw error }
        }
        // Also after EEXIST: whoever made it may not have come this far.
        try synchronizeDirectory(parent)
    }

    /// fsync of a directory: names made in it before are durable after.
    package static func synchronizeDirectory(_ path: String) throws(DFSError) {
        #if DEBUG || DFS_DEFECTS
            if Defect.skipDirectoryFsync.isPlanted { return }
        #endif
        let fd = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try System.call("cannot fsync directory \(path)", fault: "fsync") { fsync(fd.raw) }
    }

    package static func remove(_ path: String) throws(DFSError) {
        do {
            try System.call("cannot remove \(path)", fault: "unlink") { unlink(path) }
        } catch { if error.errno != ENOENT { throw error } }
    }

    /// rm -rf, never following symlinks.
    package static func removeTree(_ path: String) throws(DFSError) {
        guard let status = try FileStatus.of(path: path) else { return }
        guard status.kind == .directory else { return try remove(path) }
        try removeDirectory(Array(path.utf8), at: AT_FDCWD)
    }

    private static func removeDirectory(_ name: [UInt8], at parent: Int32) throws(DFSError) {
        let directory = try openToEmpty(name, at: parent)
        for child in try DirectoryListing.names(of: directory) {
            if withCName(child, { unlinkat(directory.raw, $0, 0) }) == 0 { continue }
            try removeDirectory(child, at: directory.raw)
        }
        try System.call("cannot remove directory \(NameText.display(name))", fault: "unlink") {
            withCName(name) { unlinkat(parent, $0, AT_REMOVEDIR) }
        }
    }

    /// Opens a directory so that it can be listed and emptied; those of overlayfs have no permissions at all.
    private static func openToEmpty(_ name: [UInt8], at parent: Int32) throws(DFSError) -> OwnedDescriptor {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        do throws(DFSError) {
            let directory = try OwnedDescriptor.open(bytes: name, flags, at: parent)
            _ = fchmod(directory.raw, 0o700)
            return directory
        } catch {
            guard error.errno == EACCES else { throw error }
            let place = try OwnedDescriptor.open(bytes: name, clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW, at: parent)
            _ = chmod("/proc/self/fd/\(place.raw)", 0o700)
            return try OwnedDescriptor.open(bytes: name, flags, at: parent)
        }
    }

    package static func parent(_ path: String) -> String {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// The absolute path without `.` and `..` and doubled slashes; symlinks are kept.
    package static func absolute(_ path: String, from base: String? = nil) -> String {
        let full = path.hasPrefix("/") ? path : (base ?? workingDirectory() ?? "/") + "/" + path
        var parts = [Substring]()
        for part in full.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// `nil` when it was removed.
    package static func workingDirectory() -> String? {
        guard let raw = getcwd(nil, 0) else { return nil }
        defer { free(raw) }
        return String(cString: raw)
    }

    /// realpath(3); `nil` when the path does not exist.
    package static func resolved(_ path: String) -> String? {
        guard let raw = realpath(path, nil) else { return nil }
        defer { free(raw) }
        return String(cString: raw)
    }

    /// The target of a symlink; `nil` when it is none.
    package static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let n = buffer.withUnsafeMutableBytes {
            readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 4096)
        }
        return n < 0 ? nil : String(decoding: buffer.prefix(n), as: UTF8.self)
    }
}
