/// URLs as they may be recorded.
enum RemoteURL {
    /// The URL without user, password, query and fragment. ssh keeps its user, which is no secret and often needed.
    static func withoutCredentials(_ url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return url }
        let isSSH = url[..<scheme.lowerBound].lowercased().hasSuffix("ssh")
        var rest = url[scheme.upperBound...]
        if let end = rest.firstIndex(where: { $0 == "?" || $0 == "#" }) { rest = rest[..<end] }
        let hostEnd = rest.firstIndex(of: "/") ?? rest.endIndex
        guard let at = rest[..<hostEnd].lastIndex(of: "@") else { return String(url[..<scheme.upperBound] + rest) }
        let user = rest[..<at].prefix { $0 != ":" }
        let host = rest[rest.index(after: at)...]
        return String(url[..<scheme.upperBound]) + (isSSH ? user + "@" : "") + host
    }
}
