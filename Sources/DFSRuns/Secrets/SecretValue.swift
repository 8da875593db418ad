import Glibc

/// Looks at a value as bytes: how random it is, and whether it only stands for one.
struct SecretValue {
    let bytes: UnsafeBufferPointer<UInt8>
    let digits, lower, upper, symbols: Int
    /// How often a digit, a small letter or a capital follows another of the three.
    let changes: Int
    let hasSpace: Bool
    let isHexadecimal: Bool

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        var counts = [0, 0, 0, 0], changes = 0, last = 3, hasSpace = false, isHexadecimal = true
        for byte in bytes {
            let kind =
                ByteSet.digits.contains(byte)
                ? 0 : ByteSet.lower.contains(byte) ? 1 : ByteSet.upper.contains(byte) ? 2 : 3
            counts[kind] += 1
            if kind != 3, last != 3, kind != last { changes += 1 }
            if kind != 3 { last = kind }
            if byte <= 0x20 { hasSpace = true }
            if !ByteSet.hexadecimal.contains(byte | 0x20), byte != UInt8(ascii: "-") { isHexadecimal = false }
        }
        (digits, lower, upper, symbols) = (counts[0], counts[1], counts[2], counts[3])
        self.changes = changes
        self.hasSpace = hasSpace
        self.isHexadecimal = isHexadecimal
    }

    var count: Int { bytes.count }
    var letters: Int { lower + upper }

    /// Shannon's entropy of the bytes, in bits for each.
    var entropy: Double {
        guard count > 0 else { return 0 }
        var counts = [Int](repeating: 0, count: 256)
        for byte in bytes { counts[Int(byte)] += 1 }
        return counts.reduce(0) { sum, n in
            guard n > 0 else { return sum }
            let share = Double(n) / Double(count)
            return sum - share * log2(share)
        }
    }

    /// Whether it has the form of a UUID.
    var isUUID: Bool { count == 36 && isHexadecimal && [8, 13, 18, 23].allSatisfy { bytes[$0] == UInt8(ascii: "-") } }

    /// Whether kinds of characters alternate as they do in random texts, and hardly in words with numbers.
    var alternates: Bool { changes * 5 >= count }

    /// What no literal secret has in it: the marks of templates, calls, paths and formats.
    var isExpression: Bool {
        bytes.contains { Self.marks.contains($0) } || contains(["://", "%s", "%d", "::", ".."])
            || bytes.first == UInt8(ascii: "/") || bytes.first == UInt8(ascii: "$") || bytes.first == UInt8(ascii: ".")
            || bytes.first == UInt8(ascii: "-")
    }

    private static let marks = ByteSet("{}()[]<>\\ \t,;\"'`")

    /// Whether a program or a shell puts something in its place, or it is a sentence or a path.
    var isTemplate: Bool {
        bytes.contains { Self.templateMarks.contains($0) } || contains(["://", "%s", "$(", "/usr/", "\\"])
    }

    private static let templateMarks = ByteSet("{}<> \t,;\"'`")

    /// Words and patterns that stand where a secret would be.
    var isPlaceholder: Bool { contains(Self.standIns) || isRepetition }

    /// Words that are no secret by themselves; they may be a part of a bad one.
    var isCommonWord: Bool {
        let text = String(decoding: bytes, as: UTF8.self).lowercased()
        return Self.words.contains(text.trimmedOfDigits)
    }

    private var isRepetition: Bool {
        var kinds = Set<UInt8>()
        for byte in bytes {
            kinds.insert(byte)
            if kinds.count > 4 { return false }
        }
        return true
    }

    private static let standIns = [
        "example", "changeme", "change_me", "change-me", "placeholder", "dummy", "fake", "sample", "your", "xxxx",
        "****",
        "todo", "redacted", "insert", "replace", "foobar", "1234567", "abcdef", "abc123", "0000000", "test", "deadbeef",
        "....", "____", "----", "environ", "getenv", "process.env", "notasecret", "not-a-secret", "not_a_secret",
        "qwerty", "lorem", "django-insecure-",
    ]

    private static let words: Set<String> = [
        "", "password", "passwd", "passphrase", "pass", "secret", "token", "none", "null", "true", "false", "undefined",
        "string", "bytes", "optional", "required", "default", "empty", "unset", "user", "admin", "root", "tiger",
        "hunter",
        "guest", "username", "mypassword", "mypass", "mysecret", "mytoken", "userpass", "secretpassword", "p@ssw",
        "s3cr3t",
        "p@ssword", "pa$$word", "pa55w", "pwd",
    ]

    /// Whether any of the texts, which are in small letters, is in it; capitals count as small letters.
    func contains(_ texts: [String]) -> Bool { texts.contains { contains($0) } }

    private func contains(_ text: String) -> Bool {
        let needle = text.utf8
        guard let first = needle.first, needle.count <= count else { return false }
        for start in 0...(count - needle.count) where Self.small(bytes[start]) == first {
            if zip(needle, start...).allSatisfy({ Self.small(bytes[$1]) == $0 }) { return true }
        }
        return false
    }

    static func small(_ byte: UInt8) -> UInt8 { ByteSet.upper.contains(byte) ? byte | 0x20 : byte }
}

extension String {
    /// Without digits and exclamation marks at the end.
    fileprivate var trimmedOfDigits: String {
        var text = self[...]
        while let last = text.last, last.isNumber || last == "!" { text.removeLast() }
        return String(text)
    }
}
