/// Secrets in files that have a form of their own, which only their names tell.
extension SecretText {
    /// What the form of the file says is a secret, wherever it is no placeholder.
    var values: [(rule: SecretRule, range: Range<Int>)] {
        let found: [(rule: SecretRule, range: Range<Int>)] =
            switch kind {
            case .program, .settings: []
            case .netrc: netrcPasswords.map { (.password, $0) }
            case .pgpass: pgpassPasswords.map { (.password, $0) }
            case .kaggle: kaggleKeys.map { (.kaggleKey, $0) }
            }
        return found.filter { _, range in
            let value = SecretValue(self[range])
            return !value.isPlaceholder && !value.isCommonWord && !value.isTemplate
                && value.bytes.first != UInt8(ascii: "$")
        }
    }

    /// The word after each `password`; words stand between white space (netrc(5)).
    private var netrcPasswords: [Range<Int>] {
        var found = [Range<Int>](), isPassword = false
        var i = 0
        while i < count {
            let end = self.end(of: Self.word, from: i, limit: count)
            guard end > i else {
                i += 1
                continue
            }
            if isPassword { found.append(i..<end) }
            isPassword = !isPassword && self[i..<end].elementsEqual("password".utf8)
            i = end
        }
        return found
    }

    /// The fifth field of each line; a backslash takes the meaning from a colon (libpq, "The Password File").
    private var pgpassPasswords: [Range<Int>] {
        var found = [Range<Int>]()
        var start = 0
        while start < count {
            let end = bytes[start...].firstIndex(of: 0x0a) ?? count
            defer { start = end + 1 }
            if bytes[start] == UInt8(ascii: "#") { continue }
            var colons = 0, i = start
            while i < end, colons < 4 {
                if bytes[i] == UInt8(ascii: ":") { colons += 1 }
                i += bytes[i] == UInt8(ascii: "\\") ? 2 : 1
            }
            var last = end
            while last > i, bytes[last - 1] <= 0x20 { last -= 1 }
            if colons == 4, last > i { found.append(i..<last) }
        }
        return found
    }

    /// The value of each `"key"` that is as long as Kaggle's.
    private var kaggleKeys: [Range<Int>] {
        let name = Array("\"key\"".utf8)
        return (0..<max(0, count - name.count)).compactMap { i in
            guard starts(name, at: i) else { return nil }
            let colon = skipSpace(i + name.count)
            guard at(colon) == UInt8(ascii: ":") else { return nil }
            let quote = skipSpace(colon + 1)
            guard at(quote) == UInt8(ascii: "\"") else { return nil }
            let end = self.end(of: .webSafe, from: quote + 1)
            guard at(end) == UInt8(ascii: "\""), end - quote > 32 else { return nil }
            return (quote + 1)..<end
        }
    }

    private static let word = ByteSet(String(decoding: UInt8(0x21)...UInt8(0x7e), as: UTF8.self))
}
