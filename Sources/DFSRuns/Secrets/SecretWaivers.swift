import DFSModel

/// Which findings are let pass, and why.
package struct SecretWaivers: Sendable {
    /// What let a finding pass. The raw value stands in records.
    package enum Ground: String, Sendable {
        /// `--allow-secrets REASON`: the reason is in the text of what was recorded.
        case reason
        /// A mark in a comment on its line.
        case line
        /// A pattern of the project's `dfs.toml`.
        case pattern
    }

    /// Given with `--allow-secrets`: everything passes.
    package let reason: String?
    private let patterns: IgnoreStack

    /// `patterns` are `[run] allow-secrets` of `dfs.toml`, each read as a line of an ignore file.
    package init(reason: String? = nil, patterns: [String] = []) {
        self.reason = reason
        self.patterns = IgnoreStack(
            patterns.isEmpty ? [] : [IgnoreRules(Array((patterns.joined(separator: "\n") + "\n").utf8))])
    }

    package func ground(_ path: [UInt8], isWaivedByLine: Bool) -> Ground? {
        if isWaivedByLine { return .line }
        let components = path.split(separator: UInt8(ascii: "/")).map { Array($0) }
        if patterns.isIgnored(path: components, isDirectory: false) { return .pattern }
        return reason == nil ? nil : .reason
    }
}

/// A finding that was let pass.
package struct WaivedSecret: Sendable {
    package let secret: LocatedSecret
    package let ground: SecretWaivers.Ground

    package var json: JSONValue {
        guard case .object(var members) = secret.json else { return secret.json }
        members["waived"] = .string(ground.rawValue)
        return .object(members)
    }
}
