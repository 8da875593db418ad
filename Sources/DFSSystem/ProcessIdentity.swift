import DFSModel
import Glibc

/// A process as it can be recognised later, beyond the reuse of process ids, by another process.
package struct ProcessIdentity: Sendable, Equatable {
    package let pid: Int32
    /// Clock ticks from boot to its start.
    package let start: Int64
    package let boot: String
    /// Which machine: its machine id and its name, so that neither a cloned image nor a common name misleads.
    package let machine: String
    package let pidNamespace: String

    package enum Liveness: Sendable, Equatable {
        case alive
        case dead
        /// It cannot be told from here.
        case unknown(reason: String)
    }

    package static func own() throws(DFSError) -> ProcessIdentity { try of(pid: getpid()) }

    /// Throws when there is no such process.
    package static func of(pid: Int32) throws(DFSError) -> ProcessIdentity {
        guard let stat = try ProcessStat.read(pid: pid) else {
            throw DFSError(.operational, "no process \(pid)", hint: "ps -e", errno: ESRCH)
        }
        let here = try Place.here()
        return ProcessIdentity(
            pid: pid, start: stat.start, boot: here.boot, machine: here.machine, pidNamespace: here.pidNamespace)
    }

    package func liveness() throws(DFSError) -> Liveness {
        let here = try Place.here()
        guard machine == here.machine else { return .unknown(reason: "it is a process of another machine") }
        guard boot == here.boot else { return .dead }
        guard pidNamespace == here.pidNamespace else { return .unknown(reason: "it is in another container") }
        guard let stat = try ProcessStat.read(pid: pid), stat.start == start, !stat.isZombie else { return .dead }
        return .alive
    }

    package var json: JSONValue {
        [
            "pid": .integer(Int64(pid)), "start": .integer(start), "boot": .string(boot), "machine": .string(machine),
            "pidNamespace": .string(pidNamespace),
        ]
    }

    /// `nil` when a member is missing.
    package init?(json: JSONValue) {
        guard let pid = json["pid"]?.integer.flatMap(Int32.init(exactly:)), let start = json["start"]?.integer,
            let boot = json["boot"]?.string, let machine = json["machine"]?.string,
            let pidNamespace = json["pidNamespace"]?.string
        else { return nil }
        self.init(pid: pid, start: start, boot: boot, machine: machine, pidNamespace: pidNamespace)
    }

    init(pid: Int32, start: Int64, boot: String, machine: String, pidNamespace: String) {
        self.pid = pid
        self.start = start
        self.boot = boot
        self.machine = machine
        self.pidNamespace = pidNamespace
    }

    private struct Place {
        let boot: String
        let machine: String
        let pidNamespace: String

        static func here() throws(DFSError) -> Place {
            let boot = try line("/proc/sys/kernel/random/boot_id")
            let machine = [try line("/etc/machine-id"), try line("/proc/sys/kernel/hostname")]
            return Place(
                boot: boot, machine: machine.joined(separator: " "),
                pidNamespace: Files.linkTarget("/proc/self/ns/pid") ?? "")
        }

        private static func line(_ path: String) throws(DFSError) -> String {
            let bytes = try Files.read(path) ?? []
            return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        }
    }
}

/// What matters of /proc/<pid>/stat.
package struct ProcessStat {
    let state: UInt8
    /// The process id of its parent.
    package let parent: Int32
    package let start: Int64
    /// By a signal.
    package var isStopped: Bool { state == UInt8(ascii: "T") }
    package var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }

    /// `nil` when there is no such process.
    package static func read(pid: Int32) throws(DFSError) -> ProcessStat? {
        do throws(DFSError) {
            return try Files.read("/proc/\(pid)/stat").flatMap { ProcessStat($0) }
        } catch {
            // It ended between open and read.
            if error.errno == ESRCH { return nil }
            throw error
        }
    }

    /// The name, second and in parentheses, may hold spaces and parentheses.
    init?(_ text: [UInt8]) {
        guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, let state = fields[0].first,
            let parent = Int32(String(decoding: fields[1], as: UTF8.self)),
            let start = Int64(String(decoding: fields[19], as: UTF8.self))
        else { return nil }
        self.state = state
        self.parent = parent
        self.start = start
    }
}
