import Glibc

/// What rules say of a path.
package enum IgnoreDecision: Sendable, Equatable {
    /// No pattern matches.
    case none
    case ignored
    /// A pattern with `!` matches last.
    case included
}

/// The patterns of one ignore file, in gitignore syntax, compiled for matching without allocation.
package struct IgnoreRules: Sendable {
    private struct Pattern: Sendable {
        enum Kind { case name, nameSuffix, nameGlob, path, pathGlob }

        let kind: Kind
        let negated: Bool
        let directoriesOnly: Bool
        /// Where its bytes lie in `storage`.
        let start, count: Int
        /// Leading bytes without special characters.
        let literal: Int
    }

    private var storage = [UInt8]()
    private var patterns = [Pattern]()

    package var isEmpty: Bool { patterns.isEmpty }

    /// Compiles the bytes of an ignore file. Every file is valid; lines that can match nothing are kept out.
    package init(_ bytes: [UInt8]) {
        var rest = bytes[...]
        if rest.starts(with: [0xef, 0xbb, 0xbf]) { rest = rest.dropFirst(3) }
        for line in rest.split(separator: 0x0a) {
            var line = line
            if line.last == 0x0d { line.removeLast() }
            if line.first == UInt8(ascii: "#") { continue }
            add(Self.withoutTrailingSpaces(line))
        }
    }

    private mutating func add(_ line: ArraySlice<UInt8>) {
        var line = line
        let negated = line.first == UInt8(ascii: "!")
        if negated { line.removeFirst() }
        let directoriesOnly = line.last == UInt8(ascii: "/")
        if directoriesOnly { line.removeLast() }
        let matchesName = !line.contains(UInt8(ascii: "/"))
        if !matchesName, line.first == UInt8(ascii: "/") { line.removeFirst() }
        guard !line.isEmpty else { return }
        let literal = line.prefix { !Self.isSpecial($0) }.count
        let kind: Pattern.Kind
        if literal == line.count {
            kind = matchesName ? .name : .path
        } else if !matchesName {
            kind = .pathGlob
        } else if line.first == UInt8(ascii: "*"), !line.dropFirst().contains(where: Self.isSpecial) {
            kind = .nameSuffix
            line.removeFirst()
        } else {
            kind = .nameGlob
        }
        patterns.append(
            Pattern(
                kind: kind, negated: negated, directoriesOnly: directoriesOnly, start: storage.count,
                count: line.count, literal: literal))
        storage += line
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[")
            || byte == UInt8(ascii: "\\")
    }

    /// Trailing spaces do not count unless a backslash stands before them.
    private static func withoutTrailingSpaces(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var end = line.startIndex
        var i = line.startIndex
        while i < line.endIndex {
            if line[i] == UInt8(ascii: "\\") {
                i += 1
                // A lone backslash at the end keeps everything, spaces included.
                if i == line.endIndex { return line }
                end = i + 1
            } else if line[i] != 0x20 {
                end = i + 1
            }
            i += 1
        }
        return line[..<end]
    }

    /// What the last matching pattern says of a path relative to the file's directory; its last component starts at
    /// `nameStart`.
    func decision(_ path: UnsafeBufferPointer<UInt8>, nameStart: Int, isDirectory: Bool) -> IgnoreDecision {
        storage.withUnsafeBufferPointer { bytes in
            patterns.withUnsafeBufferPointer { patterns in
                var i = patterns.count
                while i > 0 {
                    i -= 1
                    if patterns[i].directoriesOnly && !isDirectory { continue }
                    if Self.matches(patterns[i], bytes, path, nameStart) {
                        return patterns[i].negated ? .included : .ignored
                    }
                }
                return .none
            }
        }
    }

    private static func matches(
        _ pattern: Pattern, _ bytes: UnsafeBufferPointer<UInt8>, _ path: UnsafeBufferPointer<UInt8>, _ nameStart: Int
    ) -> Bool {
        guard let patternBase = bytes.baseAddress, let pathBase = path.baseAddress else { return false }
        let start = patternBase + pattern.start
        let nameCount = path.count - nameStart
        switch pattern.kind {
        case .name:
            return nameCount == pattern.count && memcmp(pathBase + nameStart, start, nameCount) == 0
        case .nameSuffix:
            return nameCount >= pattern.count
                && memcmp(pathBase + path.count - pattern.count, start, pattern.count) == 0
        case .path:
            return path.count == pattern.count && memcmp(pathBase, start, path.count) == 0
        case .nameGlob:
            return GlobPattern.matches(
                UnsafeBufferPointer(start: start, count: pattern.count), from: 0, path, from: nameStart)
        case .pathGlob:
            guard path.count >= pattern.literal, memcmp(pathBase, start, pattern.literal) == 0 else { return false }
            return GlobPattern.matches(
                UnsafeBufferPointer(start: start, count: pattern.count), from: pattern.literal, path,
                from: pattern.literal)
        }
    }
}
