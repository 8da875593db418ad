import DFSModel
import DFSSystem
import Glibc

/// How many bytes of the cache may be taken by what is only there to be fast: images, hot packs, hot files.
enum CacheLimit {
    static let variable = "DFS_CACHE_LIMIT"
    private static let most: UInt64 = 20 << 30

    /// A fifth of what is free where the cache is, and at most 20 GiB.
    static func standard(free: UInt64) -> UInt64 { min(free / 5, most) }
}

extension CommandContext {
    func cacheLimit() throws(DFSError) -> UInt64 {
        if let text = environment[CacheLimit.variable] {
            do throws(DFSError) { return try ByteCount.parse(text).value } catch {
                throw DFSError(
                    .usage, "\(CacheLimit.variable)=\(text) is no size", cause: error.cause,
                    hint: "export \(CacheLimit.variable)=20G")
            }
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
