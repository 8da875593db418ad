import DFSModel
import DFSSystem
import Glibc

/// The packages that dpkg knows, read from its status file.
enum DebianPackages {
    static func capture(_ cache: HostCache, status path: String = "/var/lib/dpkg/status") -> JSONValue {
        let key: JSONValue = ["path": .string(path), "stamp": HostCache.stamp(path), "version": 1]
        if key["stamp"] == .null { return Fact.none(path) }
        if let known = cache.value("dpkg", key: key), known["installed"] != nil { return known }
        let bytes: [UInt8]
        do {
            guard let read = try Files.read(path) else { return Fact.none(path) }
            bytes = read
        } catch {
            return Fact.unknown(error.cause ?? error.what)
        }
        let value = parse(bytes)
        cache.store("dpkg", key: key, value)
        return value
    }

    /// `installed` maps `name:architecture` to the version; `incomplete` maps it to dpkg's status for what is known
    /// but not installed (removed with its configuration kept, half installed).
    static func parse(_ bytes: [UInt8]) -> JSONValue {
        var installed = [String: JSONValue]()
        var incomplete = [String: JSONValue]()
        var stanza = Stanza()
        func finish() {
            defer { stanza = Stanza() }
            guard let name = stanza.name, let status = stanza.status, !status.hasSuffix(" not-installed") else {
                return
            }
            let full = name + ":" + (stanza.architecture ?? "unknown")
            if status.hasSuffix(" installed") {
                installed[full] = Fact.text(stanza.version, orUnknown: "no Version in the status file")
            } else {
                incomplete[full] = .string(status)
            }
        }
        bytes.withUnsafeBufferPointer { buffer in
            forEachLine(buffer) { line in
                if line.isEmpty { finish() } else { stanza.read(line) }
            }
        }
        finish()
        return [
            "incomplete": Fact.map(incomplete, orNone: "every known package is installed"),
            "installed": Fact.map(installed, orNone: "no installed package in the status file"), "source": "dpkg",
        ]
    }

    private struct Stanza {
        var name, version, architecture, status: String?

        mutating func read(_ line: Slice<UnsafeBufferPointer<UInt8>>) {
            switch line.first {
            case UInt8(ascii: "P"): name = Self.value(of: "Package: ", in: line) ?? name
            case UInt8(ascii: "V"): version = Self.value(of: "Version: ", in: line) ?? version
            case UInt8(ascii: "A"): architecture = Self.value(of: "Architecture: ", in: line) ?? architecture
            case UInt8(ascii: "S"): status = Self.value(of: "Status: ", in: line) ?? status
            default: break
            }
        }

        private static func value(of field: StaticString, in line: Slice<UnsafeBufferPointer<UInt8>>) -> String? {
            let length = field.utf8CodeUnitCount
            guard line.count > length, let start = line.base.baseAddress,
                memcmp(start + line.startIndex, field.utf8Start, length) == 0
            else { return nil }
            return String(decoding: line.dropFirst(length), as: UTF8.self)
        }
    }

    private static func forEachLine(
        _ buffer: UnsafeBufferPointer<UInt8>, _ body: (Slice<UnsafeBufferPointer<UInt8>>) -> Void
    ) {
        guard let base = buffer.baseAddress else { return }
        var start = 0
        while start < buffer.count {
            let found = memchr(base + start, 0x0a, buffer.count - start)
            let end = found.map { UnsafeRawPointer(base).distance(to: UnsafeRawPointer($0)) } ?? buffer.count
            body(buffer[start..<end])
            start = end + 1
        }
    }
}
