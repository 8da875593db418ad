import DFSModel
import DFSSystem
import Glibc

/// The two ways a host record says that there is no value.
package enum Fact {
    /// It could not be found out.
    package static func unknown(_ reason: String) -> JSONValue { ["unknown": .string(reason)] }

    /// It was looked for and is not there; `looked` says where.
    package static func none(_ looked: String) -> JSONValue { ["none": .string(looked)] }

    /// `text` unless it is missing or empty.
    static func text(_ text: String?, orUnknown reason: @autoclosure () -> String) -> JSONValue {
        guard let text, !text.isEmpty else { return unknown(reason()) }
        return .string(text)
    }

    static func integer(_ value: (some BinaryInteger)?, orUnknown reason: @autoclosure () -> String) -> JSONValue {
        guard let value else { return unknown(reason()) }
        return .integer(Int64(clamping: value))
    }

    /// The list, or `none` when it is empty.
    static func list(_ values: [JSONValue], orNone looked: @autoclosure () -> String) -> JSONValue {
        values.isEmpty ? none(looked()) : .array(values)
    }

    /// The map, or `none` when it is empty.
    static func map(_ members: [String: JSONValue], orNone looked: @autoclosure () -> String) -> JSONValue {
        members.isEmpty ? none(looked()) : .object(members)
    }

    /// The trimmed text of a small file; `nil` when it is missing, unreadable or empty.
    static func file(_ path: String) -> String? {
        guard let bytes = try? Files.read(path, limit: 1 << 26) else { return nil }
        let text = trimmed(String(decoding: bytes, as: UTF8.self))
        return text.isEmpty ? nil : String(text)
    }

    static func file(_ path: String, orUnknown: Void) -> JSONValue {
        text(file(path), orUnknown: "\(path) cannot be read or is empty")
    }

    static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while let last = rest.unicodeScalars.last, last.value <= 0x20 { rest.unicodeScalars.removeLast() }
        while let first = rest.unicodeScalars.first, first.value <= 0x20 { rest.unicodeScalars.removeFirst() }
        return rest
    }
}
