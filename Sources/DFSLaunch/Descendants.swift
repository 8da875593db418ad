import CLinux
import DFSModel
import DFSSystem
import Glibc

/// The processes that come from this one from now on, whoever their parent is by then: what loses its parent becomes a
/// child of this process (a "child subreaper") for as long as the value lives. One at a time in a process.
final class Descendants {
    /// Children that were there before, with all that they start.
    private let others: Set<Int32>
    private var swept: UInt64 = 0

    private static let setSubreaper: Int32 = 36  // PR_SET_CHILD_SUBREAPER
    private static let interval: UInt64 = 1_000_000_000

    init() throws(DFSError) {
        others = Set(try Self.parents().filter { $0.value.parent == getpid() }.keys)
        try System.call("cannot adopt the job's processes") { clinux_prctl(Self.setSubreaper, 1) }
    }

    deinit { _ = clinux_prctl(Self.setSubreaper, 0) }

    func living() throws(DFSError) -> [Int32] {
        let table = try Self.parents()
        return table.keys.filter { pid in table[pid]?.isZombie == false && isOurs(pid, table) }
    }

    /// Takes leave of adopted processes that have ended. Their number is bounded by how often it is called, which looks
    /// at all processes of the machine once a second at most, unless `always`.
    func reap(besides job: Int32, always: Bool = false) throws(DFSError) {
        let now = Clock.monotonic()
        guard always || now - swept >= Self.interval else { return }
        swept = now
        for (pid, stat) in try Self.parents()
        where stat.isZombie && stat.parent == getpid() && pid != job && !others.contains(pid) {
            _ = waitpid(pid, nil, WNOHANG)
        }
    }

    private func isOurs(_ pid: Int32, _ table: [Int32: ProcessStat]) -> Bool {
        var (current, steps) = (pid, 0)
        // The table is no snapshot of a moment: a process id that came again could make a circle.
        while let stat = table[current], steps < table.count {
            if others.contains(current) { return false }
            if stat.parent == getpid() { return true }
            (current, steps) = (stat.parent, steps + 1)
        }
        return false
    }

    private static func parents() throws(DFSError) -> [Int32: ProcessStat] {
        var table = [Int32: ProcessStat]()
        for name in try DirectoryListing.names(of: "/proc") {
            guard let pid = Int32(String(decoding: name, as: UTF8.self)) else { continue }
            if let stat = try? ProcessStat.read(pid: pid) { table[pid] = stat }
        }
        return table
    }
}
