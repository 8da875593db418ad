/// The first digits of a digest, as people type them.
package struct DigestPrefix: Hashable, Sendable {
    private let low: Digest
    private let high: Digest
    /// The digits, lowercase.
    package let digits: String

    /// Reads 1 to 64 hexadecimal digits, with or without `sha256:`; `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        let digits = (text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : String(text)).lowercased()
        let count = digits.utf8.count
        guard (1...64).contains(count),
            let low = Digest(hex: digits + String(repeating: "0", count: 64 - count)),
            let high = Digest(hex: digits + String(repeating: "f", count: 64 - count))
        else { return nil }
        (self.low, self.high, self.digits) = (low, high, digits)
    }

    package func matches(_ digest: Digest) -> Bool { low <= digest && digest <= high }
}
