import Glibc

/// A text in which secrets are looked for, and the small steps of looking.
struct SecretText {
    /// What kind of file it is from.
    enum Kind: Sendable {
        /// Values stand in quotes.
        case program
        /// Settings: values need no quotes.
        case settings
        /// `machine HOST login USER password VALUE`, of ftp, curl and git.
        case netrc
        /// `host:port:database:user:password`, of PostgreSQL.
        case pgpass
        /// `{"username":…,"key":…}`, of Kaggle's programs.
        case kaggle

        /// Whether values need no quotes.
        var isBare: Bool { self != .program && self != .kaggle }
    }

    let bytes: UnsafeBufferPointer<UInt8>
    let kind: Kind

    var count: Int { bytes.count }

    subscript(i: Int) -> UInt8 { bytes[i] }
    subscript(range: Range<Int>) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: bytes[range]) }

    func at(_ i: Int) -> UInt8? { i >= 0 && i < count ? bytes[i] : nil }

    func starts(_ text: [UInt8], at i: Int) -> Bool {
        guard i >= 0, i + text.count <= count else { return false }
        for (offset, byte) in text.enumerated() where bytes[i + offset] != byte { return false }
        return true
    }

    /// The same for a text in small letters, whatever the case here.
    func startsFolded(_ text: [UInt8], at i: Int) -> Bool {
        guard i >= 0, i + text.count <= count else { return false }
        for (offset, byte) in text.enumerated() where SecretValue.small(bytes[i + offset]) != byte { return false }
        return true
    }

    /// The end of the run of bytes of a set that begins at `i`, at most `limit` further.
    func end(of set: ByteSet, from i: Int, limit: Int = 4096) -> Int {
        var end = i
        let last = min(count, i + limit)
        while end < last, set.contains(bytes[end]) { end += 1 }
        return end
    }

    func start(of set: ByteSet, before i: Int, limit: Int) -> Int {
        var start = i
        let first = max(0, i - limit)
        while start > first, set.contains(bytes[start - 1]) { start -= 1 }
        return start
    }

    func skipSpace(_ i: Int) -> Int { end(of: .space, from: i, limit: 64) }

    /// The line in which `i` lies, without its end; no more than 4 KiB to both sides.
    func line(at i: Int) -> Range<Int> {
        var start = i, end = i
        while start > max(0, i - 4096), bytes[start - 1] != 0x0a { start -= 1 }
        while end < min(count, i + 4096), bytes[end] != 0x0a { end += 1 }
        return start..<end
    }

    /// Marks of lines that somebody looked at: this program's, and those of gitleaks and detect-secrets.
    private static let waivers = ["dfs:allow-secret", "gitleaks:allow", "pragma: allowlist secret"]

    func isWaived(at i: Int) -> Bool { SecretValue(self[line(at: i)]).contains(Self.waivers) }

    func newlines(in range: Range<Int>) -> Int {
        guard let base = bytes.baseAddress, !range.isEmpty else { return 0 }
        var found = 0
        var here = range.lowerBound
        while let next = memchr(base + here, 0x0a, range.upperBound - here) {
            found += 1
            here = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(next)) + 1
            if here >= range.upperBound { break }
        }
        return found
    }
}
