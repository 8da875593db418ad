/// The alphabet that names of datasets, tags, projects and snapshots share.
package enum NameRules {
    package static let maximumLength = 63

    /// Why `text` is not `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`; `nil` when it is.
    package static func problem(_ text: some StringProtocol) -> String? {
        let bytes = Array(text.utf8)
        guard let first = bytes.first else { return "it is empty" }
        guard bytes.count <= maximumLength else { return "it is longer than \(maximumLength) characters" }
        guard isAlphanumeric(first) else { return "it does not begin with a letter or digit" }
        guard bytes.allSatisfy({ isAlphanumeric($0) || [0x2e, 0x5f, 0x2d].contains($0) }) else {
            return "it holds a character other than A-Z a-z 0-9 . _ -"
        }
        return nil
    }

    /// `v` and digits, as version directories are called.
    package static func readsAsVersion(_ text: some StringProtocol) -> Bool {
        text.hasPrefix("v") && text.utf8.count > 1 && text.utf8.dropFirst().allSatisfy(isDigit)
    }

    /// Words that stand for something else in paths and references.
    package static let reserved: Set<String> = [
        "latest", "tags", "at", "views", "diff", "by", "self", "data", "code", "run",
    ]

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}

/// Names of datasets: one or two components joined by `/`.
package enum DatasetName {
    /// Why `name` cannot name a dataset; `nil` when it can. Says nothing about other datasets (`conflict`).
    package static func problem(_ name: String) -> String? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return "it has more than two components" }
        for part in parts {
            if let problem = NameRules.problem(part) {
                return parts.count == 1 ? problem : "a component is not allowed: \(problem)"
            }
            if NameRules.reserved.contains(String(part)) { return "\(part) is a reserved word" }
            if NameRules.readsAsVersion(part) { return "\(part) reads as a version" }
        }
        return nil
    }

    /// Why `name` cannot stand beside `existing`, another dataset; `nil` when it can or is the same name.
    ///
    /// Case counts as equal throughout, so that a tree of names survives a file system that folds it.
    package static func conflict(_ name: String, with existing: String) -> String? {
        if name == existing { return nil }
        let new = name.split(separator: "/")
        let old = existing.split(separator: "/")
        guard let a = new.first, let b = old.first, a.lowercased() == b.lowercased() else { return nil }
        if new.count != old.count { return "\(existing) exists, and one name may not be a folder of the other" }
        if name.lowercased() == existing.lowercased() { return "it differs from \(existing) only in case" }
        return a == b ? nil : "its folder differs from that of \(existing) only in case"
    }

    /// What two names that conflict have in common; an index by it finds the candidates.
    package static func conflictKey(_ name: String) -> String {
        (name.split(separator: "/").first.map(String.init) ?? name).lowercased()
    }

    /// The first conflict of `name` with any of `existing`.
    package static func conflict(_ name: String, among existing: some Sequence<String>) -> String? {
        for other in existing {
            if let problem = conflict(name, with: other) { return problem }
        }
        return nil
    }
}

/// Names of tags, on versions and on runs.
package enum TagName {
    /// Why `name` cannot be a tag; `nil` when it can. What reads as a version, a time, an age or a digest is refused,
    /// so that every reference has one reading.
    package static func problem(_ name: String) -> String? {
        if let problem = NameRules.problem(name) { return problem }
        if NameRules.reserved.contains(name) { return "\(name) is a reserved word" }
        if NameRules.readsAsVersion(name) { return "it reads as a version" }
        if ["yesterday", "today", "now"].contains(name.lowercased()) || readsAsTime(name) {
            return "it reads as a time"
        }
        if readsAsAge(name) { return "it reads as an age" }
        if name.utf8.count >= 8, name.utf8.allSatisfy(NameRules.isHexDigit) { return "it reads as a digest" }
        return nil
    }

    /// `2026-11`, `2026-11-01` and `2026-11-01T…`.
    private static func readsAsTime(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let form = bytes.prefix(10).map { NameRules.isDigit($0) ? UInt8(ascii: "0") : $0 }
        if bytes.count == 7 { return form == Array("0000-00".utf8) }
        guard form == Array("0000-00-00".utf8) else { return false }
        return bytes.count == 10 || bytes[10] | 0x20 == UInt8(ascii: "t")
    }

    /// Digits and a unit, also repeated: `2d`, `1h30m`.
    private static func readsAsAge(_ name: String) -> Bool {
        var rest = Array(name.utf8)[...]
        while !rest.isEmpty {
            let digits = rest.prefix(while: NameRules.isDigit)
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { !NameRules.isDigit($0) }
            rest = rest.dropFirst(unit.count)
            guard !digits.isEmpty, units.contains(String(decoding: unit, as: UTF8.self).lowercased()) else {
                return false
            }
        }
        return true
    }

    private static let units: Set<String> = ["s", "m", "min", "h", "d", "w", "mo", "y"]
}

/// Names of projects and of their code snapshots: one component.
package enum ProjectName {
    package static func problem(_ name: String) -> String? { NameRules.problem(name) }

    /// Why `id` cannot name a code snapshot; `nil` when it can.
    package static func snapshotProblem(_ id: String) -> String? {
        if let problem = NameRules.problem(id) { return problem }
        return NameRules.reserved.contains(id) ? "\(id) is a reserved word" : nil
    }
}
