import DFSModel
import DFSSystem
import Glibc

/// One watcher's file in a run's evidence folder (`dfs.access-log/1`, FORMAT.md §9.1): lines of JSON that are appended as
/// things are seen, so that whoever is killed leaves what he saw.
///
/// Used by one thread at a time. The folder may not be there yet: lines wait in memory until it is.
package struct AccessLog: Sendable {
    package static let format = "dfs.access-log/1"
    /// Nanoseconds since 1970, as times stand in the log.
    package typealias Nanoseconds = Int64

    private let path: String
    private var file: OwnedDescriptor?
    private var pending = [UInt8]()
    private var sources = [AccessSource: Int]()
    /// Why lines could not be written.
    package private(set) var failure: DFSError?

    /// `header`: what this watcher is and can see; its members are put into the first line.
    package init(path: String, header: [String: JSONValue]) {
        self.path = path
        append(.object(header.merging(["format": .string(Self.format)]) { $1 }))
    }

    package mutating func append(_ line: JSONValue) {
        pending += line.canonicalBytes
        pending.append(UInt8(ascii: "\n"))
    }

    /// File number `n` of this watcher, seen for the first time.
    package mutating func opened(
        _ n: Int, _ source: AccessSource, path: some Collection<UInt8>, at time: Nanoseconds, digest: Digest? = nil,
        size: UInt64? = nil
    ) {
        let number = self.number(of: source)
        put("{\"at\":", time)
        put(",\"n\":", Int64(n))
        pending += ",\"path\":".utf8
        appendName(path)
        put(",\"s\":", Int64(number))
        if let digest { pending += ",\"sha256\":\"\(digest.hex)\"".utf8 }
        if let size { put(",\"size\":", Int64(clamping: size)) }
        pending += "}\n".utf8
    }

    /// File number `n` was seen again: how often in all, and when last.
    package mutating func again(_ n: Int, count: Int, last: Nanoseconds) {
        put("{\"count\":", Int64(count))
        put(",\"last\":", last)
        put(",\"n\":", Int64(n))
        pending += "}\n".utf8
    }

    /// The number by which lines name a source.
    package mutating func number(of source: AccessSource) -> Int {
        if let number = sources[source] { return number }
        let number = sources.count
        sources[source] = number
        append(["s": .integer(Int64(number)), "source": source.json])
        return number
    }

    /// Bytes that wait to be written.
    package var waiting: Int { pending.count }

    /// Writes what waits. `false` while the folder is not there, or when it cannot be written.
    @discardableResult
    package mutating func flush() -> Bool {
        guard !pending.isEmpty else { return true }
        do throws(DFSError) {
            let file: OwnedDescriptor
            if let open = self.file {
                file = open
            } else {
                file = try OwnedDescriptor.open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, mode: 0o644)
                self.file = file
            }
            try Files.write(pending, to: file.raw, what: path)
            pending.removeAll(keepingCapacity: true)
            return true
        } catch {
            if error.errno != ENOENT { failure = error }
            return false
        }
    }

    private mutating func put(_ text: StaticString, _ value: Int64) {
        pending += UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        put(value)
    }

    /// Not through `String`, which takes longer than all the rest of a line.
    private mutating func put(_ value: Int64) {
        if value < 0 { pending.append(UInt8(ascii: "-")) }
        var rest = value.magnitude
        let start = pending.count
        repeat {
            pending.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        pending[start...].reverse()
    }

    private mutating func appendName(_ name: some Collection<UInt8>) {
        let isPlain = name.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c && $0 != 0x25 }
        guard isPlain else {
            pending += JSONValue.string(NameText.encode(name)).canonicalBytes
            return
        }
        pending.append(UInt8(ascii: "\""))
        pending += name
        pending.append(UInt8(ascii: "\""))
    }
}

extension Timestamp {
    /// Nanoseconds since 1970; clamped to what 64 bits hold (until 2262).
    package var nanosecondsSince1970: Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product &+ Int64(nanoseconds)
    }

    package init(nanosecondsSince1970 value: Int64) {
        let (seconds, rest) = value.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(
            seconds: rest < 0 ? seconds - 1 : seconds, nanoseconds: UInt32(rest < 0 ? rest + 1_000_000_000 : rest))
    }
}
