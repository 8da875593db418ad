import DFSModel
import DFSSystem

/// How many processes the kernel has killed for want of memory.
///
/// The number is the control group's where that has one of its own, else the machine's, and then says nothing of whose they
/// were. The launcher and its job are in one group.
package struct MemoryKills: Sendable, Equatable {
    package enum Scope: Sendable, Equatable {
        case group(String)
        case machine
    }

    package let scope: Scope
    package let count: UInt64

    /// `nil` when nothing tells.
    package static func current() -> MemoryKills? {
        guard let bytes = try? Files.read("/proc/self/cgroup", limit: 1 << 16) else { return nil }
        return of(cgroups: String(decoding: bytes, as: UTF8.self), root: "/sys/fs/cgroup")
            ?? counter("/proc/vmstat").map { MemoryKills(scope: .machine, count: $0) }
    }

    static func of(cgroups: String, root: String) -> MemoryKills? {
        for line in cgroups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[2] != "/" else { continue }
            let path = String(fields[2])
            let file: String? =
                if fields[0] == "0", fields[1].isEmpty {
                    root + path + "/memory.events"
                } else if fields[1].split(separator: ",").contains("memory") {
                    root + "/memory" + path + "/memory.oom_control"
                } else { nil }
            if let file, let count = counter(file) { return MemoryKills(scope: .group(path), count: count) }
        }
        return nil
    }

    /// The value of the line `oom_kill N`.
    private static func counter(_ path: String) -> UInt64? {
        guard let bytes = try? Files.read(path, limit: 1 << 16) else { return nil }
        let line = bytes.split(separator: 0x0a).first { $0.starts(with: "oom_kill ".utf8) }
        return line.flatMap { UInt64(String(decoding: $0.dropFirst(9), as: UTF8.self)) }
    }

    /// How many there were since `before`; `nil` where that was counted elsewhere.
    package func since(_ before: MemoryKills?) -> MemoryKills? {
        guard let before, before.scope == scope, count >= before.count else { return nil }
        return MemoryKills(scope: scope, count: count - before.count)
    }

    package var json: JSONValue {
        switch scope {
        case .group(let path): ["count": .integer(Int64(clamping: count)), "group": .string(path)]
        case .machine: ["count": .integer(Int64(clamping: count)), "group": .null]
        }
    }
}
