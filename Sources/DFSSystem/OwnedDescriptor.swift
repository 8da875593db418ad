import CLinux
import DFSModel
import Glibc

/// A file descriptor that is closed when its owner goes away.
package final class OwnedDescriptor: Sendable {
    package let raw: Int32

    /// Takes ownership of `raw`.
    package init(adopting raw: Int32) { self.raw = raw }

    deinit { close(raw) }

    /// openat(2), always with O_CLOEXEC. `path` is relative to `directory` (default: the working directory).
    package static func open(
        _ path: String, _ flags: Int32, mode: UInt32 = 0o600, at directory: Int32 = AT_FDCWD
    ) throws(DFSError) -> OwnedDescriptor {
        let fd = try System.call("cannot open \(path)", fault: "open") {
            clinux_openat(directory, path, flags | O_CLOEXEC, mode)
        }
        return OwnedDescriptor(adopting: fd)
    }

    /// openat(2) for a name that is bytes.
    package static func open(
        bytes name: [UInt8], _ flags: Int32, mode: UInt32 = 0o600, at directory: Int32
    ) throws(DFSError) -> OwnedDescriptor {
        let fd = try System.call("cannot open \(NameText.display(name))", fault: "open") {
            withCName(name) { clinux_openat(directory, $0, flags | O_CLOEXEC, mode) }
        }
        return OwnedDescriptor(adopting: fd)
    }
}

/// Calls `body` with a NUL-terminated copy of `name`. A NUL inside ends the name there; callers refuse such names.
package func withCName<R>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + 1) { buffer in
        for (i, byte) in name.enumerated() { buffer[i] = CChar(bitPattern: byte) }
        buffer[name.count] = 0
        return body(UnsafePointer(buffer.baseAddress!))
    }
}
