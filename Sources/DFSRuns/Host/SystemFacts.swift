import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Kernel, distribution, C library, limits and clock.
package enum SystemFacts {
    static let bootPath = "/proc/sys/kernel/random/boot_id"

    static func kernel(hash: ([UInt8]) -> Digest) -> JSONValue {
        var name = utsname()
        guard uname(&name) == 0 else { return Fact.unknown("uname: \(String(cString: strerror(errno)))") }
        let commandLine = Fact.file("/proc/cmdline").map { JSONValue.string(hash(Array($0.utf8)).text) }
        return [
            "architecture": .string(text(&name.machine)),
            "cmdline": commandLine ?? Fact.unknown("/proc/cmdline cannot be read or is empty"),
            "release": .string(text(&name.release)), "system": .string(text(&name.sysname)),
            "version": .string(text(&name.version)),
        ]
    }

    private static func text<T>(_ field: inout T) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The C library of this process.
    package static var libc: JSONValue {
        var buffer = [UInt8](repeating: 0, count: 128)
        let length = buffer.withUnsafeMutableBytes {
            confstr(Int32(_CS_GNU_LIBC_VERSION), $0.baseAddress?.assumingMemoryBound(to: CChar.self), 128)
        }
        let text = String(decoding: buffer.prefix(max(0, Int(length) - 1)), as: UTF8.self)
        return Fact.text(text, orUnknown: "confstr does not tell the version of the C library")
    }

    /// The machine id must not be shown as it is (machine-id(5)).
    static func machine(hash: ([UInt8]) -> Digest) -> JSONValue {
        guard let id = Fact.file("/etc/machine-id") ?? Fact.file("/var/lib/dbus/machine-id") else {
            return Fact.unknown("no /etc/machine-id")
        }
        return .string(hash(Array("dfs.machine/1\0\(id)".utf8)).text)
    }

    static func operatingSystem() -> JSONValue {
        guard let text = Fact.file("/etc/os-release") ?? Fact.file("/usr/lib/os-release") else {
            return Fact.unknown("no /etc/os-release")
        }
        var fields = [String: String]()
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            var value = Fact.trimmed(line[line.index(after: equals)...])
            if value.count > 1, let quote = value.first, quote == "\"" || quote == "'", value.last == quote {
                value = value.dropFirst().dropLast()
            }
            fields[String(line[..<equals])] = String(value)
        }
        func field(_ name: String) -> JSONValue { Fact.text(fields[name], orUnknown: "os-release has no \(name)") }
        let debian = Fact.file("/etc/debian_version")
        return [
            "debian_version": debian.map { .string($0) } ?? Fact.none("/etc/debian_version"),
            "id": field("ID"), "name": field("PRETTY_NAME"), "version": field("VERSION_ID"),
        ]
    }

    // MARK: limits

    private static let limitNames = [
        "Max cpu time": "cpu_seconds", "Max file size": "file_bytes", "Max data size": "data_bytes",
        "Max stack size": "stack_bytes", "Max core file size": "core_bytes", "Max resident set": "resident_bytes",
        "Max processes": "processes", "Max open files": "open_files", "Max locked memory": "locked_memory_bytes",
        "Max address space": "address_space_bytes", "Max file locks": "file_locks",
        "Max pending signals": "pending_signals", "Max msgqueue size": "message_queue_bytes",
        "Max nice priority": "nice_priority", "Max realtime priority": "realtime_priority",
        "Max realtime timeout": "realtime_microseconds",
    ]

    /// The resource limits of this process, which a job inherits.
    static func limits() -> JSONValue {
        guard let text = Fact.file("/proc/self/limits") else { return Fact.unknown("/proc/self/limits cannot be read") }
        var members = [String: JSONValue]()
        for line in text.split(separator: "\n").dropFirst() {
            guard let (label, name) = limitNames.first(where: { line.hasPrefix($0.key + " ") }) else { continue }
            let words = line.dropFirst(label.count).split(separator: " ")
            guard words.count >= 2 else { continue }
            members[name] = ["hard": limit(words[1]), "soft": limit(words[0])]
        }
        return Fact.map(members, orNone: "no limit in /proc/self/limits")
    }

    private static func limit(_ word: Substring) -> JSONValue {
        if word == "unlimited" { return "unlimited" }
        guard let value = UInt64(word) else { return Fact.unknown("/proc/self/limits says \(word)") }
        return .integer(Int64(clamping: value))
    }

    // MARK: clock

    static func clock() -> JSONValue {
        var synchronised: Int32 = 0
        var offset = 0
        var error = 0
        guard clinux_clock_state(&synchronised, &offset, &error) == 0 else {
            return Fact.unknown("adjtimex: \(String(cString: strerror(errno)))")
        }
        return [
            "maximum_error_microseconds": .integer(Int64(error)), "offset_nanoseconds": .integer(Int64(offset)),
            "synchronised": .bool(synchronised != 0),
        ]
    }

    static func timeZone(_ environment: [String: String]) -> JSONValue {
        if let zone = environment["TZ"], !zone.isEmpty {
            return EnvironmentRecord.secrets("TZ", zone).isEmpty
                ? .string(zone) : Fact.unknown("TZ looks like a secret")
        }
        if let target = Files.linkTarget("/etc/localtime"), let range = target.firstRange(of: "/zoneinfo/") {
            return .string(String(target[range.upperBound...]))
        }
        return Fact.text(Fact.file("/etc/timezone"), orUnknown: "TZ is not set, /etc/localtime is no link to a zone")
    }
}
