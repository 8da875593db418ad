/// Matches a path against a pattern with `*`, `?`, `[…]`, `\` and `**`, as gitignore(5) describes.
///
/// `*`, `?` and `[…]` never match a slash. `**` between slashes or at an end stands for any number of directories;
/// elsewhere it is `*`.
struct GlobPattern {
    let pattern: UnsafeBufferPointer<UInt8>
    let text: UnsafeBufferPointer<UInt8>
    /// Where matching starts in the pattern. Git compares the literal beginning of a pattern first and lets `**`
    /// right after it count as standing at the start.
    let start: Int

    private enum Outcome {
        case match
        case mismatch
        /// No way of matching the rest of the text with fewer characters exists: give up all tries.
        case exhausted
        /// Only a `**` further left may try on.
        case crossesSlash
    }

    private static let slash = UInt8(ascii: "/"), star = UInt8(ascii: "*"), backslash = UInt8(ascii: "\\")

    /// Whether the pattern from `start` matches the text from `offset`, whole.
    static func matches(
        _ pattern: UnsafeBufferPointer<UInt8>, from start: Int, _ text: UnsafeBufferPointer<UInt8>, from offset: Int
    ) -> Bool {
        GlobPattern(pattern: pattern, text: text, start: start).match(start, offset) == .match
    }

    private func match(_ patternStart: Int, _ textStart: Int) -> Outcome {
        var p = patternStart
        var t = textStart
        while p < pattern.count {
            let c = pattern[p]
            if c == Self.star { return stars(p, t) }
            guard t < text.count else { return .exhausted }
            switch c {
            case UInt8(ascii: "?"):
                if text[t] == Self.slash { return .mismatch }
            case UInt8(ascii: "["):
                guard let set = characterSet(p + 1, text[t]) else { return .exhausted }
                if !set.contains || text[t] == Self.slash { return .mismatch }
                p = set.end
            case Self.backslash:
                p += 1
                if p >= pattern.count || pattern[p] != text[t] { return .mismatch }
            default:
                if c != text[t] { return .mismatch }
            }
            p += 1
            t += 1
        }
        return t == text.count ? .match : .mismatch
    }

    /// The pattern from a run of stars at `first` on.
    private func stars(_ first: Int, _ textStart: Int) -> Outcome {
        var p = first
        while p < pattern.count, pattern[p] == Self.star { p += 1 }
        let crosses = p - first > 1 && standsAlone(first, p)
        if crosses, p < pattern.count, pattern[p] == Self.slash, match(p + 1, textStart) == .match { return .match }
        if p == pattern.count { return crosses || !hasSlash(from: textStart) ? .match : .mismatch }
        var t = textStart
        while t < text.count {
            let outcome = match(p, t)
            switch outcome {
            case .match, .exhausted: return outcome
            case .crossesSlash: if !crosses { return outcome }
            case .mismatch: if !crosses && text[t] == Self.slash { return .crossesSlash }
            }
            t += 1
        }
        return .exhausted
    }

    /// Whether the stars in `first..<end` are bounded by slashes or the pattern's ends.
    private func standsAlone(_ first: Int, _ end: Int) -> Bool {
        guard first == start || pattern[first - 1] == Self.slash else { return false }
        if end == pattern.count || pattern[end] == Self.slash { return true }
        return pattern[end] == Self.backslash && end + 1 < pattern.count && pattern[end + 1] == Self.slash
    }

    private func hasSlash(from offset: Int) -> Bool { text[offset...].contains(Self.slash) }

    // MARK: […]

    /// Whether `character` is in the set that begins after `[`, and where its `]` is; `nil` when it never ends or
    /// names an unknown class.
    private func characterSet(_ begin: Int, _ character: UInt8) -> (contains: Bool, end: Int)? {
        var p = begin
        guard p < pattern.count else { return nil }
        let negated = pattern[p] == UInt8(ascii: "!") || pattern[p] == UInt8(ascii: "^")
        if negated { p += 1 }
        var found = false
        // The low end of a range that a `-` would make; none at first, after a range and after a class.
        var low: UInt8?
        var isFirst = true
        while true {
            guard p < pattern.count else { return nil }
            var c = pattern[p]
            if c == UInt8(ascii: "]"), !isFirst { return (found != negated, p) }
            isFirst = false
            if c == UInt8(ascii: "-"), let from = low, p + 1 < pattern.count, pattern[p + 1] != UInt8(ascii: "]") {
                p += 1
                if pattern[p] == Self.backslash { p += 1 }
                guard p < pattern.count else { return nil }
                if from <= character, character <= pattern[p] { found = true }
                low = nil
            } else if c == UInt8(ascii: "["), p + 1 < pattern.count, pattern[p + 1] == UInt8(ascii: ":"),
                let close = classEnd(p + 2)
            {
                guard let contains = Self.inClass(pattern[(p + 2)..<(close - 1)], character) else { return nil }
                if contains { found = true }
                p = close
                low = nil
            } else {
                if c == Self.backslash {
                    p += 1
                    guard p < pattern.count else { return nil }
                    c = pattern[p]
                }
                if c == character { found = true }
                low = c
            }
            p += 1
        }
    }

    /// The place of the `]` in `:]`, if the first `]` from `begin` on follows a colon.
    private func classEnd(_ begin: Int) -> Int? {
        guard let close = pattern[begin...].firstIndex(of: UInt8(ascii: "]")), close > begin,
            pattern[close - 1] == UInt8(ascii: ":")
        else { return nil }
        return close
    }

    private static func inClass(_ name: Slice<UnsafeBufferPointer<UInt8>>, _ c: UInt8) -> Bool? {
        let isUpper = (0x41...0x5a).contains(c)
        let isLower = (0x61...0x7a).contains(c)
        let isDigit = (0x30...0x39).contains(c)
        switch String(decoding: name, as: UTF8.self) {
        case "alnum": return isUpper || isLower || isDigit
        case "alpha": return isUpper || isLower
        case "blank": return c == 0x20 || c == 0x09
        case "cntrl": return c < 0x20 || c == 0x7f
        case "digit": return isDigit
        case "graph": return c > 0x20 && c < 0x7f
        case "lower": return isLower
        case "print": return c >= 0x20 && c < 0x7f
        case "punct": return c > 0x20 && c < 0x7f && !isUpper && !isLower && !isDigit
        case "space": return c == 0x20 || (0x09...0x0d).contains(c)
        case "upper": return isUpper
        case "xdigit": return isDigit || (0x41...0x46).contains(c) || (0x61...0x66).contains(c)
        default: return nil
        }
    }
}
