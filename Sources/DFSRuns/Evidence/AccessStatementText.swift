import DFSModel

/// Canonical JSON of a statement, piece by piece: a run may open millions of files, which are never all values at once.
struct AccessStatementText {
    private(set) var bytes = [UInt8]()
    /// The second that was formatted last: events come close together.
    private var second: (value: Int64, text: [UInt8]) = (.min, [])
    private var source: (value: AccessSource, text: String)?

    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    mutating func put(_ text: StaticString) {
        bytes += UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    mutating func put(json: JSONValue) { bytes += json.canonicalBytes }

    /// An in-toto ResourceDescriptor.
    mutating func put(_ file: AccessTrace.File) {
        put("{\"annotations\":{\"count\":")
        bytes += String(file.count).utf8
        put(",\"first\":")
        put(file.first)
        put(",\"last\":")
        put(file.last)
        if let size = file.size {
            put(",\"size\":")
            bytes += String(size).utf8
        }
        put("}")
        if let digest = file.digest {
            put(",\"digest\":{\"sha256\":\"")
            bytes += digest.hex.utf8
            put("\"}")
        }
        let reference: String
        if let source, source.value == file.source {
            reference = source.text
        } else {
            reference = file.source.reference
            source = (file.source, reference)
        }
        put(",\"name\":")
        if Self.isPlain(file.path) {
            put("\"")
            bytes += reference.utf8
            bytes.append(0x2f)
            bytes += file.path
            put("\",\"uri\":\"dfs://")
            bytes += reference.utf8
            bytes.append(0x2f)
            bytes += file.path
            put("\"}")
        } else {
            put(json: .string(reference + Self.suffix(file.path)))
            put(",\"uri\":\"dfs://")
            bytes += reference.utf8
            bytes.append(0x2f)
            bytes += Self.percentEncoded(file.path)
            put("\"}")
        }
    }

    private mutating func put(_ time: Timestamp) {
        if second.value != time.seconds { second = (time.seconds, Array(time.short.utf8.dropLast())) }
        bytes.append(0x22)
        bytes += second.text
        bytes.append(UInt8(ascii: "."))
        var rest = time.nanoseconds / 1000, unit: UInt32 = 100_000
        while unit > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(rest / unit))
            rest %= unit
            unit /= 10
        }
        put("Z\"")
    }

    /// `/a/b`, as names stand in JSON.
    static func suffix(_ path: [UInt8]) -> String { path.isEmpty ? "" : "/" + NameText.encode(path) }

    /// Whether a path is the same in JSON and in a URI.
    private static func isPlain(_ path: [UInt8]) -> Bool { path.allSatisfy(isUnreserved) }

    /// What may stand in the path of a URI (RFC 3986, pchar without the rarer ones), and the slash.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e, 0x2f: true
        default: false
        }
    }

    private static func percentEncoded(_ path: [UInt8]) -> [UInt8] {
        path.flatMap { byte in
            isUnreserved(byte) ? [byte] : Array("%".utf8) + Array(Hex.encode([byte]).uppercased().utf8)
        }
    }
}
