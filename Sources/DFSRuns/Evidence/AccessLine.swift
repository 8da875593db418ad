import DFSModel

/// One line of an access log.
enum AccessLine {
    /// The first line of a watcher.
    case header(JSONValue)
    case source(Int, AccessSource)
    /// Who sees what is read of the code; the last such line holds.
    case code(AccessCoverage.Code)
    case opened(n: Int, source: Int, path: [UInt8], at: Int64, digest: Digest?, size: UInt64?)
    case again(n: Int, count: Int, last: Int64)
    case denied(n: Int, source: Int, path: [UInt8], at: Int64, operation: String, pid: Int32, command: String?)
    case deniedAgain(n: Int, count: Int, last: Int64)
    case end(at: Int64, lost: Int, unlisted: Int, reason: String?)

    /// `nil` for what is no such line, as the last one of a watcher that was killed may be.
    init?(_ bytes: ArraySlice<UInt8>) {
        if let quick = Scanner(bytes).opened() {
            self = quick
        } else {
            guard let json = try? JSONValue.parse(Array(bytes)), let line = Self.line(json) else { return nil }
            self = line
        }
    }

    private static func line(_ json: JSONValue) -> AccessLine? {
        func number(_ key: String) -> Int? { json[key]?.integer.flatMap { Int(exactly: $0) } }
        if json["format"]?.string == AccessLog.format { return .header(json) }
        if let end = json["end"]?.integer {
            return .end(
                at: end, lost: number("lost") ?? 0, unlisted: number("unlisted") ?? 0, reason: json["reason"]?.string)
        }
        if let s = number("s"), let source = json["source"].flatMap({ AccessSource(json: $0) }) {
            return .source(s, source)
        }
        if let code = json["code"].flatMap({ AccessCoverage.Code(json: $0) }) { return .code(code) }
        if let count = number("count"), let last = json["last"]?.integer {
            if let n = number("n") { return .again(n: n, count: count, last: last) }
            return number("d").map { .deniedAgain(n: $0, count: count, last: last) }
        }
        guard let path = json["path"]?.string.flatMap(NameText.decode), let at = json["at"]?.integer,
            let source = number("s")
        else { return nil }
        if let n = number("d"), let operation = json["denied"]?.string {
            return .denied(
                n: n, source: source, path: path, at: at, operation: operation,
                pid: Int32(clamping: number("pid") ?? 0), command: json["command"]?.string)
        }
        guard let n = number("n") else { return nil }
        return .opened(
            n: n, source: source, path: path, at: at,
            digest: json["sha256"]?.string.flatMap { Digest(text: "sha256:" + $0) },
            size: json["size"]?.integer.flatMap { UInt64(exactly: $0) })
    }
}

/// Reads the line that `AccessLog.opened` writes of a plain name, of which there is one for each file; anything else is left to
/// the JSON parser.
private struct Scanner {
    private let bytes: ArraySlice<UInt8>
    private var at: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        at = bytes.startIndex
    }

    func opened() -> AccessLine? {
        var scan = self
        guard scan.take("{\"at\":"), let time = scan.number(), scan.take(",\"n\":"), let n = scan.number(),
            scan.take(",\"path\":\""), let path = scan.text(), scan.take(",\"s\":"), let source = scan.number()
        else { return nil }
        var digest: Digest?
        if scan.take(",\"sha256\":\"") {
            guard let hex = scan.text(), let known = Digest(text: "sha256:" + String(decoding: hex, as: UTF8.self))
            else { return nil }
            digest = known
        }
        var size: UInt64?
        if scan.take(",\"size\":") {
            guard let number = scan.number() else { return nil }
            size = UInt64(number)
        }
        guard scan.take("}"), scan.at == bytes.endIndex else { return nil }
        return .opened(
            n: Int(n), source: Int(source), path: Array(path), at: time, digest: digest, size: size)
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes[at...].starts(with: expected) else { return false }
        at += expected.count
        return true
    }

    private mutating func number() -> Int64? {
        var value: Int64 = 0
        let start = at
        while at < bytes.endIndex, (0x30...0x39).contains(bytes[at]), at - start < 19 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let sum = product.addingReportingOverflow(Int64(bytes[at] - 0x30))
            guard !overflow, !sum.overflow else { return nil }
            value = sum.partialValue
            at += 1
        }
        return at > start ? value : nil
    }

    /// Up to the closing quote; `nil` where something is escaped.
    private mutating func text() -> ArraySlice<UInt8>? {
        let start = at
        while at < bytes.endIndex, bytes[at] != 0x22 {
            guard bytes[at] != 0x5c, bytes[at] != 0x25 else { return nil }
            at += 1
        }
        guard at < bytes.endIndex else { return nil }
        defer { at += 1 }
        return bytes[start..<at]
    }
}
