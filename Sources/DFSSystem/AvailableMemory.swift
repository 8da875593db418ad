/// Memory that could still be used, for the kernel's cache as well.
package enum AvailableMemory {
    /// What the host has, and what this process's cgroups leave it; everything where nobody tells.
    package static func bytes() -> UInt64 {
        min(ofHost() ?? .max, ofGroup() ?? .max)
    }

    private static func text(_ path: String) -> String? {
        guard let bytes = try? Files.read(path, limit: 1 << 16) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func ofHost() -> UInt64? {
        for line in text("/proc/meminfo")?.split(separator: "\n") ?? [] where line.hasPrefix("MemAvailable:") {
            let words = line.split(separator: " ")
            return words.count > 1 ? UInt64(words[1]).map { $0 << 10 } : nil
        }
        return nil
    }

    /// The least that any of the groups above leaves (cgroup v2).
    private static func ofGroup() -> UInt64? {
        guard let line = text("/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else {
            return nil
        }
        var least: UInt64?
        var place = String(line.dropFirst(3))
        while place != "/", !place.isEmpty {
            if let limit = number("/sys/fs/cgroup\(place)/memory.max") { least = min(least ?? .max, limit) }
            place = Files.parent(place)
        }
        return least
    }

    private static func number(_ path: String) -> UInt64? {
        text(path).flatMap { UInt64($0.prefix { $0.isNumber }) }
    }
}
