/// Secrets that are known by their form.
extension SecretText {
    /// A token stands alone: what precedes it is no part of a longer word, and neither is what follows. In base 64 it never does.
    func token(_ form: TokenForm, at i: Int) -> Range<Int>? {
        guard starts(form.prefix, at: i), standsAlone(before: i) else { return nil }
        let body = i + form.prefix.count
        var end = end(of: form.alphabet, from: body, limit: form.count.upperBound + 1)
        // A sentence may end after it.
        while end > body, bytes[end - 1] == UInt8(ascii: ".") || bytes[end - 1] == UInt8(ascii: "-") { end -= 1 }
        guard form.count.contains(end - body), standsAlone(after: end) else { return nil }
        let value = SecretValue(self[body..<end])
        if !form.mark.isEmpty, !(body..<end).contains(where: { starts(form.mark, at: $0) }) { return nil }
        // Of identifiers there are 16 characters of 32.
        let least = value.count < 20 ? 2.5 : 3.0
        guard value.entropy >= least, value.digits > 0 || value.upper * value.lower > 0 || form.alphabet.isUpper,
            !value.isPlaceholder
        else { return nil }
        return i..<end
    }

    private func standsAlone(before i: Int) -> Bool {
        guard let byte = at(i - 1) else { return true }
        // An escaped line end or tab in a notebook or a JSON text.
        if at(i - 2) == UInt8(ascii: "\\"), byte == UInt8(ascii: "n") || byte == UInt8(ascii: "t") { return true }
        if ByteSet.webSafe.contains(byte) || byte == UInt8(ascii: "+") { return false }
        // Within base 64 a slash is a letter.
        return byte != UInt8(ascii: "/") || i - start(of: .base64, before: i, limit: Self.blob) < Self.blob
    }

    /// No word, path or name is a run of so many letters of base 64.
    private static let blob = 100

    private func standsAlone(after i: Int) -> Bool {
        guard let byte = at(i) else { return true }
        return !ByteSet.webSafe.contains(byte)
    }

    /// `-----BEGIN … PRIVATE KEY-----` with a key after it: programs name the line without having one.
    func privateKey(at i: Int) -> Range<Int>? {
        guard starts(Self.begin, at: i) else { return nil }
        let label = end(of: Self.label, from: i + Self.begin.count, limit: 40)
        guard starts(Self.dashes, at: label), contains(Self.privateKeyWords, in: i..<label) else { return nil }
        var here = label + Self.dashes.count, longest = 0
        let limit = min(count, here + 2048)
        // Line ends, also written as `\n`, quotes and spaces between; header lines such as `Proc-Type: 4,ENCRYPTED`.
        while here < limit {
            let run = end(of: .base64, from: here, limit: 80)
            longest = max(longest, run - here)
            if longest >= 40 { return SecretValue(self[here..<run]).entropy >= 3.5 ? i..<run : nil }
            if starts(Self.dashes, at: run) { return nil }
            here = max(run, here) + 1
        }
        return nil
    }

    private static let begin = Array("-----BEGIN ".utf8), dashes = Array("-----".utf8)
    private static let label = ByteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    private static let privateKeyWords = Array("PRIVATE KEY".utf8)

    private func contains(_ text: [UInt8], in range: Range<Int>) -> Bool {
        range.contains { starts(text, at: $0) && $0 + text.count <= range.upperBound }
    }

    /// Header, claims and signature; the first two are JSON objects, which begin with `{"`.
    func jsonWebToken(at i: Int) -> Range<Int>? {
        guard starts(Self.object, at: i), standsAlone(before: i) else { return nil }
        let header = end(of: .webSafe, from: i)
        guard header - i >= 16, at(header) == UInt8(ascii: "."), starts(Self.object, at: header + 1) else { return nil }
        let claims = end(of: .webSafe, from: header + 1)
        guard claims - header >= 16, at(claims) == UInt8(ascii: ".") else { return nil }
        let signature = end(of: .webSafe, from: claims + 1)
        guard signature - claims >= 32 else { return nil }
        return i..<signature
    }

    private static let object = Array("eyJ".utf8)

    /// The password in `scheme://user:password@host`.
    func urlPassword(at i: Int) -> Range<Int>? {
        guard let scheme = at(i - 1), ByteSet.alphanumeric.contains(scheme) else { return nil }
        let user = end(of: Self.userCharacters, from: i + 3, limit: 128)
        guard at(user) == UInt8(ascii: ":") else { return nil }
        let end = end(of: Self.passwordCharacters, from: user + 1, limit: 256)
        guard at(end) == UInt8(ascii: "@"), end - user > 6 else { return nil }
        let value = SecretValue(self[(user + 1)..<end])
        let host = self[(end + 1)..<self.end(of: .dotted, from: end + 1, limit: 128)]
        guard host.count > 1, !SecretValue(host).contains(["example", "localhost", "127.0.0.1", "0.0.0.0"]),
            !host.elementsEqual("host".utf8), !host.elementsEqual("hostname".utf8)
        else { return nil }
        guard value.letters > 0, value.digits + value.symbols > 0 || value.upper * value.lower > 0,
            value.entropy >= 2.5,
            !value.isExpression, !value.isPlaceholder, !value.isCommonWord
        else { return nil }
        return (user + 1)..<end
    }

    private static let userCharacters = ByteSet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+~-")
    private static let passwordCharacters = ByteSet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+~!$&*=^#-")
}

extension ByteSet {
    /// Whether no small letter is in it.
    fileprivate var isUpper: Bool { !contains(UInt8(ascii: "a")) }
}
