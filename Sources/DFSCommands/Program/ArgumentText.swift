import Glibc

/// Command-line arguments are bytes; the argument parser takes text. This is a reversible form as text: bytes that are
/// not part of valid UTF-8 become characters of the last private-use block, as do those characters themselves.
package enum ArgumentText {
    /// The arguments of this process, the program's name first.
    package static func ofProcess() -> [String] {
        let raw = CommandLine.unsafeArgv
        return (0..<Int(CommandLine.argc)).compactMap { i in
            raw[i].map { text(of: UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) }) }
        }
    }

    package static func text(of bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: isEscape) {
            return text
        }
        var out = String.UnicodeScalarView()
        var rest = bytes[...]
        while let byte = rest.first {
            if let scalar = leadingScalar(rest), !isEscape(scalar) {
                out.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                if let scalar = Unicode.Scalar(escapes + UInt32(byte)) { out.append(scalar) }
                rest = rest.dropFirst()
            }
        }
        return String(out)
    }

    package static func bytes(of text: String) -> [UInt8] {
        guard text.unicodeScalars.contains(where: isEscape) else { return Array(text.utf8) }
        return text.unicodeScalars.reduce(into: []) { out, scalar in
            if isEscape(scalar) {
                out.append(UInt8(scalar.value - escapes))
            } else {
                out += Array(String(scalar).utf8)
            }
        }
    }

    /// U+10FF00 and the value of the byte; only bytes from 0x80 up are ever escaped.
    private static let escapes: UInt32 = 0x10ff00

    private static func isEscape(_ scalar: Unicode.Scalar) -> Bool {
        (escapes + 0x80...escapes + 0xff).contains(scalar.value)
    }

    private static func leadingScalar(_ bytes: ArraySlice<UInt8>) -> Unicode.Scalar? {
        for width in 1...min(4, bytes.count) {
            if let text = String(validating: bytes.prefix(width), as: UTF8.self) { return text.unicodeScalars.first }
        }
        return nil
    }
}
