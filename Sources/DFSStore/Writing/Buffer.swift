import DFSModel
import DFSSystem
import Glibc

/// Memory outside arrays, so that files are read into it without being zeroed first.
final class Buffer: @unchecked Sendable {
    let raw: UnsafeMutableRawBufferPointer

    init(count: Int) { raw = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 4096) }

    deinit { raw.deallocate() }

    func bytes(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: raw[..<count]) }

    /// Reads a file that must have exactly `size` bytes, fewer than the buffer.
    func fill(from file: OwnedDescriptor, size: Int, _ path: () -> String) throws(DFSError) {
        // One byte more is asked for: a file that has grown shows without another call, and the caller looks at its size
        // afterwards.
        var done = 0
        while done < size || size == 0 {
            let n = try System.call("cannot read \(path())", fault: "read") {
                pread(file.raw, raw.baseAddress! + done, size + 1 - done, off_t(done))
            }
            done += n
            if n == 0 { break }
        }
        guard done == size else { throw Self.changed(path()) }
    }

    /// Reads up to `range.count` bytes; fewer only at the end of the file.
    func read(
        from file: OwnedDescriptor, at offset: UInt64, into range: Range<Int>, _ path: () -> String
    ) throws(DFSError) -> Int {
        var done = 0
        while done < range.count {
            let n = try System.call("cannot read \(path())", fault: "read") {
                pread(
                    file.raw, raw.baseAddress! + range.lowerBound + done, range.count - done,
                    off_t(offset) + off_t(done))
            }
            if n == 0 { break }
            done += n
        }
        return done
    }

    static func changed(_ path: String) -> DFSError {
        DFSError(
            .refused, "\(path) changed while it was read", cause: "something is writing to it",
            hint: "stop the writer, then commit again")
    }
}
