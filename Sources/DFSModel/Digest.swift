/// A SHA-256 value: 32 bytes, held as four big-endian words so that `<` is byte order.
package struct Digest: Hashable, Comparable, Sendable {
    package let words: (UInt64, UInt64, UInt64, UInt64)

    package static let byteCount = 32

    /// The all-zero value, which no content has in practice; used where a field must be filled.
    package static let zero = Digest(words: (0, 0, 0, 0))

    package init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Reads 32 bytes; `nil` when `bytes` holds another number.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var w: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var i = 0
        for byte in bytes {
            switch i >> 3 {
            case 0: w.0 = w.0 << 8 | UInt64(byte)
            case 1: w.1 = w.1 << 8 | UInt64(byte)
            case 2: w.2 = w.2 << 8 | UInt64(byte)
            default: w.3 = w.3 << 8 | UInt64(byte)
            }
            i += 1
        }
        words = w
    }

    /// Reads 32 bytes from `offset`, which must be there.
    package init(loading raw: UnsafeRawBufferPointer, at offset: Int) {
        func word(_ i: Int) -> UInt64 {
            UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: offset + i * 8, as: UInt64.self))
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// Reads 64 lowercase hexadecimal digits.
    package init?(hex: some StringProtocol) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }

    /// Reads `sha256:` followed by 64 lowercase hexadecimal digits.
    package init?(text: some StringProtocol) {
        guard text.hasPrefix("sha256:") else { return nil }
        self.init(hex: text.dropFirst(7))
    }

    package var bytes: [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(32)
        appendBytes(to: &out)
        return out
    }

    package func appendBytes(to out: inout [UInt8]) {
        let raw = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
        withUnsafeBytes(of: raw) { out.append(contentsOf: $0) }
    }

    /// 64 lowercase hexadecimal digits.
    package var hex: String { Hex.encode(bytes) }

    /// `sha256:` and the hexadecimal digits, as records and references write it.
    package var text: String { "sha256:" + hex }

    package static func == (a: Digest, b: Digest) -> Bool {
        a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2 && a.words.3 == b.words.3
    }

    package static func < (a: Digest, b: Digest) -> Bool {
        if a.words.0 != b.words.0 { return a.words.0 < b.words.0 }
        if a.words.1 != b.words.1 { return a.words.1 < b.words.1 }
        if a.words.2 != b.words.2 { return a.words.2 < b.words.2 }
        return a.words.3 < b.words.3
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension Digest: CustomStringConvertible {
    package var description: String { hex }
}

/// A distinct type around a digest, so that one kind of id is never passed for another.
package protocol DigestIdentifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    var digest: Digest { get }
    init(_ digest: Digest)
}

extension DigestIdentifier {
    package var description: String { digest.hex }
    package static func < (a: Self, b: Self) -> Bool { a.digest < b.digest }
}

/// Names a stored chunk of file content: SHA-256 of its bytes.
package struct ChunkID: DigestIdentifier {
    package let digest: Digest
    package init(_ digest: Digest) { self.digest = digest }
}

/// Names a stored metadata object (tree node, recipe, record, text, pack set): SHA-256 of its bytes.
package struct ObjectAddress: DigestIdentifier {
    package let digest: Digest
    package init(_ digest: Digest) { self.digest = digest }
}

/// The identity users see: of a file, SHA-256 of its bytes; of a directory, as FORMAT.md §4 defines.
package struct ContentDigest: DigestIdentifier {
    package let digest: Digest
    package init(_ digest: Digest) { self.digest = digest }
}

/// Names a pack: SHA-256 of its index table.
package struct PackID: DigestIdentifier {
    package let digest: Digest
    package init(_ digest: Digest) { self.digest = digest }
}
