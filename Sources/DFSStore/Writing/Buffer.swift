import DFSModel
import DFSSystem
import Glibc

/// Memory outside arrays, so that files are read into it without being zeroed first.
final class Buffer: @unchecked Sendable {
    let raw: UnsafeMutableRawBufferPointer

    init(count: Int) { raw = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 4096) }

    deinit { raw.deallocate() }

    func bytes(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: raw[..<count]) }

    /// Reads a file that must have exactly `size` bytes.
    func fill(from file: OwnedDescriptor, size: Int, _ path: () -> String) throws(DFSError) {
        let got = try read(from: file, at: 0, into: 0..<size, path)
        var extra: UInt8 = 0
        let more =
            got == size
            ? try System.call("cannot read \(path())", fault: "read") {
                pread(file.raw, &extra, 1, off_t(size))
            } : 0
        guard got == size, more == 0 else { throw Self.changed(path()) }
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
