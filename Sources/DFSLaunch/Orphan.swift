import DFSModel
import DFSSystem

/// A process of a job that lived on when the job's first process had ended, and was ended then: a daemon, or a child that
/// nobody waited for.
package struct Orphan: Sendable, Hashable {
    package let pid: Int32
    /// The kernel's short name of its program; empty when it was gone before it was looked at.
    package let name: String
    /// It did not end when it was asked to.
    package internal(set) var wasKilled = false

    init(pid: Int32) {
        self.pid = pid
        let text = (try? Files.read("/proc/\(pid)/comm", limit: 64)).flatMap { $0 } ?? []
        name = NameText.encode(text.prefix { $0 != 0x0a })
    }

    package var json: JSONValue { ["name": .string(name), "killed": .bool(wasKilled)] }
}
