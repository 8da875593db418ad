import DFSModel
import DFSSystem
import Glibc

/// How many bytes of the cache may be taken by what is only there to be fast: images, hot packs, hot files.
enum CacheLimit {
    static let variable = "DFS_CACHE_LIMIT"
    private static let most: UInt64 = 20 << 30

    /// A fifth of what is free where the cache is, and at most 20 GiB.
    static func standard(free: UInt64) -> UInt64 { min(free / 5, most) }

    /// `500M`, `20G`, bytes without a letter; `nil` when it is none of these.
    static func parse(_ text: String) -> UInt64? {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.last.flatMap { units[Character($0.uppercased())] }
        guard let number = UInt64(unit == nil ? text[...] : text.dropLast()), number > 0 else { return nil }
        let product = number.multipliedReportingOverflow(by: unit ?? 1)
        return product.overflow ? nil : product.partialValue
    }
}

extension CommandContext {
    func cacheLimit() throws(DFSError) -> UInt64 {
        if let text = environment[CacheLimit.variable] {
            guard let limit = CacheLimit.parse(text) else {
                throw DFSError(
                    .usage, "\(CacheLimit.variable)=\(text) is no size", hint: "export \(CacheLimit.variable)=20G")
            }
            return limit
        }
        let cache = try directories.cache()
        try Files.makeDirectories(cache, mode: 0o700)
        var status = statvfs()
        try System.call("cannot look at \(cache)") { statvfs(cache, &status) }
        return CacheLimit.standard(free: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }
}

/// How long a sealed view stays mounted when the last run that used it has ended: the next one finds its pages cached.
enum ViewLinger {
    static let variable = "DFS_VIEW_LINGER"
    static let standard = 300
}

extension CommandContext {
    /// Seconds.
    func viewLinger() throws(DFSError) -> Int {
        guard let text = environment[ViewLinger.variable] else { return ViewLinger.standard }
        guard let seconds = Int(text), (0...86400).contains(seconds) else {
            throw DFSError(
                .usage, "\(ViewLinger.variable)=\(text) is no number of seconds up to a day",
                hint: "export \(ViewLinger.variable)=300")
        }
        return seconds
    }
}
