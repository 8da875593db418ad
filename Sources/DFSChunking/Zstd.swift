import CZstd
import DFSModel
import Synchronization

/// Single zstd frames with the content size in the frame header.
///
/// Safe from any number of threads; contexts (about a megabyte each at the default level) are reused from a small pool.
package enum Zstd {
    /// log2 of the largest window that is written or read: 8 MiB.
    static let largestWindowLog = 23

    /// Compresses into one frame. Levels outside what zstd knows are taken as the nearest.
    package static func compress(_ source: UnsafeRawBufferPointer, level: Int32) throws(DFSError) -> [UInt8] {
        let context = try ZstdPool.compressors.take()
        defer { ZstdPool.compressors.give(back: context) }
        ZSTD_CCtx_reset(context.raw, ZSTD_reset_session_and_parameters)
        ZSTD_CCtx_setParameter(context.raw, ZSTD_c_compressionLevel, level)
        // The highest levels would take windows that `decompress` refuses.
        if level > 19 { ZSTD_CCtx_setParameter(context.raw, ZSTD_c_windowLog, Int32(largestWindowLog)) }
        let bound = ZSTD_compressBound(source.count)
        guard ZSTD_isError(bound) == 0 else {
            throw DFSError(.refused, "cannot compress \(source.count) bytes at once", cause: name(bound))
        }
        var result = 0
        let out = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            result = ZSTD_compress2(context.raw, target.baseAddress, bound, source.baseAddress, source.count)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        guard ZSTD_isError(result) == 0 else {
            throw DFSError(.operational, "cannot compress \(source.count) bytes", cause: name(result))
        }
        return out
    }

    /// Decompresses one frame that must hold exactly `length` bytes and nothing after it.
    ///
    /// Everything else is `.corrupt`: a size that lies, a missing size, trailing bytes, a second or a skippable frame, a
    /// dictionary, a window above 8 MiB, more output than so few bytes can hold.
    package static func decompress(_ frame: UnsafeRawBufferPointer, length: Int) throws(DFSError) -> [UInt8] {
        try check(frame, length: length)
        var failure: DFSError?
        let out = [UInt8](unsafeUninitializedCapacity: length) { target, count in
            do throws(DFSError) {
                let target = UnsafeMutableRawBufferPointer(target)
                try decompress(frame, into: UnsafeMutableRawBufferPointer(rebasing: target[..<length]))
                count = length
            } catch { failure = error }
        }
        if let failure { throw failure }
        return out
    }

    /// Decompresses one frame that `check` has found to hold as many bytes as `target` takes.
    package static func decompress(
        _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(DFSError) {
        let context = try ZstdPool.decompressors.take()
        defer { ZstdPool.decompressors.give(back: context) }
        ZSTD_DCtx_reset(context.raw, ZSTD_reset_session_and_parameters)
        let result = ZSTD_decompressDCtx(
            context.raw, target.baseAddress, target.count, frame.baseAddress, frame.count)
        guard ZSTD_isError(result) == 0 else { throw corrupt(frame, name(result)) }
        guard result == target.count else {
            throw corrupt(frame, "it holds \(result) bytes instead of \(target.count)")
        }
    }

    /// Refuses before anything is allocated what cannot be a frame of `length` bytes.
    package static func check(_ frame: UnsafeRawBufferPointer, length: Int) throws(DFSError) {
        guard let header = ZstdFrameHeader(frame) else { throw corrupt(frame, "it has no zstd frame header") }
        guard !header.hasDictionary else { throw corrupt(frame, "it needs a dictionary") }
        guard length >= 0, let size = header.contentSize, size == UInt64(length) else {
            let told = header.contentSize.map { "it tells of \($0) bytes" } ?? "it does not tell its size"
            throw corrupt(frame, told + " instead of \(length)")
        }
        guard header.windowLog <= largestWindowLog else { throw corrupt(frame, "window of 2^\(header.windowLog)") }
        // A block of at most 128 KiB takes at least four bytes.
        guard length >> 17 <= frame.count / 4 else { throw corrupt(frame, "too few bytes for \(length)") }
        let whole = ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
        guard ZSTD_isError(whole) == 0 else { throw corrupt(frame, name(whole)) }
        guard whole == frame.count else { throw corrupt(frame, "\(frame.count - whole) bytes follow the frame") }
    }

    private static func corrupt(_ frame: UnsafeRawBufferPointer, _ cause: String) -> DFSError {
        DFSError(.corrupt, "compressed data of \(frame.count) bytes are damaged", cause: cause)
    }

    private static func name(_ code: Int) -> String { String(cString: ZSTD_getErrorName(code)) }
}

/// What the first bytes of a zstd frame say (RFC 8878 §3.1.1.1).
struct ZstdFrameHeader {
    /// `nil` when the frame does not tell.
    let contentSize: UInt64?
    /// Of the window that a reader must keep; 0 for a frame whose content is its own window.
    let windowLog: Int
    let hasDictionary: Bool

    /// `nil` for anything that does not begin with a whole header of a data frame.
    init?(_ frame: UnsafeRawBufferPointer) {
        guard frame.count >= 5, frame.loadUnaligned(as: UInt32.self).littleEndian == 0xFD2F_B528 else { return nil }
        let descriptor = frame[4]
        guard descriptor & 0x08 == 0 else { return nil }
        let isSingleSegment = descriptor & 0x20 != 0
        let dictionaryLength = [0, 1, 2, 4][Int(descriptor & 3)]
        let sizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)]
        let sizeOffset = 5 + (isSingleSegment ? 0 : 1) + dictionaryLength
        guard frame.count >= sizeOffset + sizeLength else { return nil }
        windowLog = isSingleSegment ? 0 : Self.logarithm(frame[5])
        hasDictionary = dictionaryLength > 0
        var size: UInt64 = 0
        for i in (0..<sizeLength).reversed() { size = size << 8 | UInt64(frame[sizeOffset + i]) }
        contentSize = sizeLength == 0 ? nil : sizeLength == 2 ? size + 256 : size
    }

    /// Rounded up: an exponent of 13 with a mantissa needs more than 2^23.
    private static func logarithm(_ window: UInt8) -> Int { 10 + Int(window >> 3) + (window & 7 == 0 ? 0 : 1) }
}
