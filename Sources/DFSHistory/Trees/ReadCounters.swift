import DFSModel
import DFSSystem

/// What reading a store took since its reader was made.
package final class ReadCounters: Sendable {
    /// Bytes of chunks that were decompressed, and that were taken from packs as they are.
    package let decompressed = Counter(), raw = Counter()
    /// Chunks found in memory, and chunks that had to be read.
    package let hits = Counter(), misses = Counter()
    /// Chunks that were decompressed before anybody asked for them.
    package let ahead = Counter()
    /// Copies made for the kernel to read, their bytes, and bytes of packs verified for that.
    package let hotFiles = Counter(), hotBytes = Counter(), verified = Counter()

    package init() {}

    package var json: [String: JSONValue] {
        func number(_ counter: Counter) -> JSONValue { .integer(Int64(counter.current)) }
        return [
            "bytes_decompressed": number(decompressed), "bytes_raw": number(raw), "chunk_hits": number(hits),
            "chunk_misses": number(misses), "chunks_ahead": number(ahead), "hot_files_made": number(hotFiles),
            "hot_bytes_made": number(hotBytes), "bytes_verified": number(verified),
        ]
    }
}
