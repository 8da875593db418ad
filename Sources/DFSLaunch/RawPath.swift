import DFSModel

/// A path as the kernel sees it: bytes. In JSON it is `NameText`.
package struct RawPath: Hashable, Sendable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { bytes = Array(text.utf8) }

    private static let slash = UInt8(ascii: "/")

    package var components: [[UInt8]] { bytes.split(separator: Self.slash).map { Array($0) } }

    /// The directory it is in; `/` for the root itself.
    package var parent: RawPath {
        guard let cut = bytes.lastIndex(of: Self.slash), cut > 0 else { return RawPath("/") }
        return RawPath(Array(bytes[..<cut]))
    }

    package func appending(_ relative: [UInt8]) -> RawPath {
        if relative.isEmpty { return self }
        return RawPath(bytes + (bytes.last == Self.slash ? [] : [Self.slash]) + relative)
    }

    package func appending(_ relative: String) -> RawPath { appending(Array(relative.utf8)) }

    /// What is left of it below `base`: empty for `base` itself, `nil` outside.
    package func relative(to base: RawPath) -> [UInt8]? {
        if base.bytes == [Self.slash] { return Array(bytes.dropFirst()) }
        guard bytes.starts(with: base.bytes) else { return nil }
        if bytes.count == base.bytes.count { return [] }
        return bytes[base.bytes.count] == Self.slash ? Array(bytes[(base.bytes.count + 1)...]) : nil
    }

    /// Starts at the root and has no `.`, `..`, doubled or final slash and no NUL.
    package var isNormal: Bool {
        if bytes == [Self.slash] { return true }
        return bytes.first == Self.slash && Self.isNormal(relative: bytes.dropFirst())
    }

    /// The same for a relative path, which is not empty.
    package static func isNormal(relative bytes: some Collection<UInt8>) -> Bool {
        !bytes.contains(0)
            && bytes.split(separator: slash, omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
            }
    }
}

extension RawPath: CustomStringConvertible {
    /// For messages.
    package var description: String { NameText.display(bytes) }
}

extension RawPath: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self.init(value) }
}
