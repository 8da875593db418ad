import DFSModel
import DFSSystem
import Glibc

/// Facts kept from one capture to the next, one file each.
///
/// A file is the digest of the rest, a newline, and canonical JSON `{key, value}`. Whatever does not match — digest,
/// key, form — reads as absent and is written anew: a cache is never trusted and never an error.
struct HostCache: Sendable {
    /// `nil`: nothing is kept.
    let directory: String?
    let hash: @Sendable ([UInt8]) -> Digest

    /// What was stored under `name` for this very `key`.
    func value(_ name: String, key: JSONValue) -> JSONValue? {
        guard let entry = entry(name), entry["key"] == key else { return nil }
        return entry["value"]
    }

    func store(_ name: String, key: JSONValue, _ value: JSONValue) {
        guard let directory else { return }
        let body = JSONValue.object(["key": key, "value": value]).canonicalBytes
        let bytes = Array((hash(body).text + "\n").utf8) + body
        let temporary = "\(directory)/.\(name).\(Randomness.hex(bytes: 6))"
        do {
            try Files.makeDirectories(directory, mode: 0o700)
            let file = try OwnedDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL)
            try Files.write(bytes, to: file.raw, what: temporary)
            try System.call("cannot rename \(temporary)", fault: "rename") {
                rename(temporary, "\(directory)/\(name).json")
            }
        } catch {
            unlink(temporary)
        }
    }

    private func entry(_ name: String) -> JSONValue? {
        guard let directory, let bytes = try? Files.read("\(directory)/\(name).json", limit: 1 << 28),
            bytes.count > 72, bytes[71] == 0x0a,
            let digest = Digest(text: String(decoding: bytes[..<71], as: UTF8.self))
        else { return nil }
        let body = Array(bytes[72...])
        guard hash(body) == digest else { return nil }
        return try? JSONValue.parse(body)
    }

    /// What tells whether a file or directory has been changed: mtime, size, inode; `null` when there is nothing.
    static func stamp(_ path: String) -> JSONValue {
        guard let status = (try? FileStatus.of(path: path, following: true)) ?? nil else { return .null }
        return [
            .integer(status.modified.seconds), .integer(Int64(status.modified.nanoseconds)),
            .integer(Int64(clamping: status.size)), .integer(Int64(clamping: status.inode)),
        ]
    }
}
