import DFSLedger

/// Values that are given to names which tell of secrets.
extension SecretText {
    private static let longestName = 64, longestValue = 512

    /// The value that stands after a name with the word at `i`.
    func assignment(_ name: SecretName, at i: Int) -> (SecretRule, Range<Int>)? {
        guard startsFolded(name.word, at: i) else { return nil }
        let word = i + name.word.count
        let end = end(of: .identifier, from: word, limit: Self.longestName)
        let start = start(of: .identifier, before: i, limit: Self.longestName)
        guard end - start < Self.longestName, SecretName.mayEnd(self[word..<end]),
            !name.isPart || isBeginningOfPart(i), let value = value(after: end, from: start)
        else { return nil }
        let found = SecretValue(self[value.range])
        guard !found.isPlaceholder, !found.isCommonWord else { return nil }
        if isLongMixture(found) { return (name.kind == .password ? .password : .secretAssignment, value.range) }
        guard !found.isExpression else { return nil }
        switch name.kind {
        case .generated:
            // Tokens of requests and changes are such numbers, and no secrets.
            if found.isUUID, name.isWeak { return nil }
            return isGenerated(found) ? (.secretAssignment, value.range) : nil
        case .password:
            if isGenerated(found) { return (.password, value.range) }
            guard isPassword(found), !name.isWeak || isMixed(found) || (kind.isBare && i > start) else { return nil }
            return (.password, value.range)
        case .encoded:
            if found.isUUID { return nil }
            return isLogin(found) ?? isGenerated(found) ? (.secretAssignment, value.range) : nil
        }
    }

    /// Whether the name, or a part of it (`db_pass`, `dbPass`), begins at `i`.
    private func isBeginningOfPart(_ i: Int) -> Bool {
        guard let before = at(i - 1), ByteSet.alphanumeric.contains(before) else { return true }
        return ByteSet.upper.contains(bytes[i]) && !ByteSet.upper.contains(before)
    }

    /// `Authorization: Bearer …`, `"Authorization": "token …"`.
    func authorization(at i: Int) -> Range<Int>? {
        guard startsFolded(Self.header, at: i) else { return nil }
        var here = end(of: Self.punctuation, from: i + 13, limit: 8)
        let scheme = end(of: .alphanumeric, from: here, limit: 10)
        guard Self.schemes.contains(where: { startsFolded($0, at: here) }),
            at(scheme) == 0x20
        else { return nil }
        here = scheme + 1
        let end = end(of: Self.credentials, from: here, limit: Self.longestValue)
        let value = SecretValue(self[here..<end])
        guard value.count >= 20, value.digits > 0, value.letters > 0, value.entropy >= 3.5, value.alternates,
            !value.isExpression, !value.isPlaceholder
        else { return nil }
        return here..<end
    }

    private static let header = Array("authorization".utf8)
    private static let schemes = ["bearer", "token", "basic"].map { Array($0.utf8) }
    private static let punctuation = ByteSet("\"'\\]=: ,(")
    private static let credentials = ByteSet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-.~")

    // MARK: Where the value is

    private struct Value { let range: Range<Int> }

    private func value(after name: Int, from start: Int) -> Value? {
        var here = name
        var isQuoted = false
        if at(here) == UInt8(ascii: "\\") { here += 1 }
        if let quote = at(here), ByteSet.quote.contains(quote) {
            isQuoted = true
            here += 1
        }
        if at(here) == UInt8(ascii: "]") { here += 1 }
        here = skipSpace(here)
        guard let after = afterOperator(here, nameIsQuoted: isQuoted) else { return nil }
        here = skipSpace(after)
        if let quoted = quoted(at: here) { return Value(range: quoted) }
        guard kind.isBare || isExported(start) else { return nil }
        return bare(at: here).map { Value(range: $0) }
    }

    /// The place after `=`, `:`, `:=`, `=>`, `: str =`, and, where the name is a text, a comma.
    private func afterOperator(_ i: Int, nameIsQuoted: Bool) -> Int? {
        let equals = UInt8(ascii: "="), colon = UInt8(ascii: ":"), more = UInt8(ascii: ">")
        switch at(i) {
        case equals:
            if at(i + 1) == equals || at(i + 1) == UInt8(ascii: "~") { return nil }
            return at(i + 1) == more ? i + 2 : i + 1
        case colon:
            if at(i + 1) == equals { return i + 2 }
            if at(i + 1) == colon { return nil }
            // A type may stand between: `token: str = "…"`.
            let type = skipSpace(i + 1)
            let end = skipSpace(end(of: Self.types, from: type, limit: 48))
            if end > type, at(end) == equals, at(end + 1) != equals { return end + 1 }
            return i + 1
        case UInt8(ascii: ","): return nameIsQuoted ? i + 1 : nil
        case more where kind.isBare: return i + 1
        case UInt8(ascii: "?") where at(i + 1) == equals: return i + 2
        default: return nil
        }
    }

    private static let types = ByteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.[]|? ")

    private func quoted(at i: Int) -> Range<Int>? {
        var here = i
        // `b"…"`, `r'…'`; in a JSON text the quote of a program within is `\"`.
        if let letter = at(here), ByteSet("bBrRuU").contains(letter) { here += 1 }
        if at(here) == UInt8(ascii: "\\") { here += 1 }
        guard let quote = at(here), ByteSet.quote.contains(quote) else { return nil }
        let start = here + 1
        var end = start
        let limit = min(count, start + Self.longestValue)
        while end < limit, bytes[end] != quote, bytes[end] != 0x0a, bytes[end] != UInt8(ascii: "\\") { end += 1 }
        guard end < limit, bytes[end] != 0x0a, end > start else { return nil }
        return start..<end
    }

    private func bare(at i: Int) -> Range<Int>? {
        let end = end(of: Self.bareCharacters, from: i, limit: Self.longestValue)
        guard end > i, end - i < Self.longestValue else { return nil }
        // What goes on with other characters is no value but an expression.
        if let next = at(end), !Self.bareEnds.contains(next) { return nil }
        return i..<end
    }

    private static let bareCharacters = ByteSet(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-.~!@#$%^&*?:|")
    private static let bareEnds = ByteSet(" \t\n\r;,<\"'\\")

    /// `export NAME=…` and `set NAME=…` at the start of a line, wherever it stands.
    private func isExported(_ name: Int) -> Bool {
        guard let word = Self.exporting.first(where: { starts($0, at: name - $0.count) }) else { return false }
        let line = line(at: name)
        return end(of: .space, from: line.lowerBound, limit: 64) + word.count == name
    }

    private static let exporting = ["export ", "setenv "].map { Array($0.utf8) }

    // MARK: What the value is

    /// So long and random that brackets in it are no call: the keys of web frameworks have all signs in them.
    private func isLongMixture(_ value: SecretValue) -> Bool {
        value.count >= 40 && value.digits >= 4 && value.letters >= 12 && value.symbols >= 4
            && value.symbols * 2 <= value.count && value.entropy >= 4.4 && !value.isTemplate
    }

    /// Long and random: made by a machine.
    private func isGenerated(_ value: SecretValue) -> Bool {
        guard value.count >= 16, !value.hasSpace, value.symbols * 4 <= value.count else { return false }
        if value.isHexadecimal {
            return value.count >= 32 && value.digits >= 4 && value.letters >= 4 && value.entropy >= 2.9
        }
        return value.digits >= 2 && value.letters >= 6 && value.entropy >= 3.5 && value.alternates
    }

    /// What people choose, if it is more than a word.
    private func isPassword(_ value: SecretValue) -> Bool {
        guard (8...128).contains(value.count), !value.hasSpace, value.letters >= 2, value.entropy >= 2.75 else {
            return false
        }
        let special = value.bytes.contains { Self.special.contains($0) }
        let separated = value.bytes.contains { Self.separators.contains($0) }
        // `sha256_password`, `mysql.native`: names with numbers in them.
        if separated, !special { return value.alternates && value.digits > 1 }
        return value.digits > 0 || special
    }

    /// More than a word with a number: what is no password is rarely so.
    private func isMixed(_ value: SecretValue) -> Bool {
        value.digits > 0 && value.letters > 0
            && (value.bytes.contains { Self.special.contains($0) } || value.upper * value.lower > 0
                || (value.digits > 1 && value.alternates))
    }

    /// Whether the password in `user:password`, which the value is in base 64, is a real one; `nil` where it is nothing such.
    private func isLogin(_ value: SecretValue) -> Bool? {
        guard (12...256).contains(value.count),
            let text = Base64.decode(String(decoding: value.bytes, as: UTF8.self)),
            text.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), let colon = text.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return text[(colon + 1)...].withUnsafeBufferPointer { rest in
            let password = SecretValue(rest)
            return colon > 0 && password.count >= 6 && !password.isPlaceholder && !password.isCommonWord
        }
    }

    private static let special = ByteSet("!@#$%^&*?+~"), separators = ByteSet("_-./:")
}
