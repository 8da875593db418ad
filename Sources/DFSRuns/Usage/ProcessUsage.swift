import DFSModel
import DFSSystem
import Glibc

/// What one process has used so far, with those of its children that have ended and were waited for.
struct ProcessUsage: Equatable {
    var cpuMilliseconds: Int64 = 0
    var residentBytes: Int64 = 0
    var threads: Int64 = 0
    /// Of storage (`read_bytes`, `write_bytes` of /proc/<pid>/io).
    var readBytes: Int64 = 0
    var writtenBytes: Int64 = 0
    /// By read(2) and write(2) and their kin, whatever they were on.
    var readCallBytes: Int64 = 0
    var writeCallBytes: Int64 = 0

    /// `nil` when it is gone. `/proc/<pid>/io` of other users cannot be read: zero then.
    static func read(pid: Int32, proc: String = "/proc") -> ProcessUsage? {
        guard let text = try? Files.read("\(proc)/\(pid)/stat", limit: 1 << 16),
            var usage = parse(stat: text)
        else { return nil }
        if let io = try? Files.read("\(proc)/\(pid)/io", limit: 1 << 16) { usage.add(io: io) }
        return usage
    }

    private static let tick = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    private static let page = Int64(max(1, sysconf(Int32(_SC_PAGESIZE))))

    /// proc_pid_stat(5): the name, second and in parentheses, may hold spaces and parentheses.
    static func parse(stat text: [UInt8]) -> ProcessUsage? {
        guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = text[(end + 1)...].split(whereSeparator: { $0 == 0x20 || $0 == 0x0a })
        guard fields.count > 21 else { return nil }
        // Field 3 of the manual is the first here: 14 to 17 are times, 20 threads, 24 pages.
        func number(_ field: Int) -> Int64 { Int64(String(decoding: fields[field - 3], as: UTF8.self)) ?? 0 }
        var usage = ProcessUsage()
        let ticks = (14...17).reduce(Int64(0)) { $0 + number($1) }
        usage.cpuMilliseconds = ticks * 1000 / tick
        usage.threads = number(20)
        usage.residentBytes = number(24) * page
        return usage
    }

    mutating func add(io text: [UInt8]) {
        for line in text.split(separator: 0x0a) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = Int64(String(decoding: line[(colon + 1)...].drop { $0 == 0x20 }, as: UTF8.self)) ?? 0
            switch String(decoding: line[..<colon], as: UTF8.self) {
            case "rchar": readCallBytes = value
            case "wchar": writeCallBytes = value
            case "read_bytes": readBytes = value
            case "write_bytes": writtenBytes = value
            default: break
            }
        }
    }
}
