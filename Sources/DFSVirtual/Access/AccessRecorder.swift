import DFSModel
import DFSRuns
import DFSSystem
import Synchronization

/// Notes which stored files of a tree are asked for, and what is refused, for the record of the run that sees the tree.
///
/// `note` and `refuse` are called for each request, on any thread; `write` by one thread, every so often and at the end.
package final class AccessRecorder: Sendable {
    /// More places than this are counted, not listed.
    static let placeLimit = 100_000

    private struct Refusal: Hashable, Sendable {
        var node: NodeID
        var name: [UInt8]
        var operation: String
    }

    private struct Fresh: Sendable {
        var n: Int
        var node: NodeID
        var time: AccessLog.Nanoseconds
    }

    private struct FreshRefusal: Sendable {
        var n: Int
        var refusal: Refusal
        var time: AccessLog.Nanoseconds
        var pid: Int32
        var command: String?
    }

    private struct State: Sendable {
        var numbers = [NodeID: Int]()
        var tally = AccessTally()
        var fresh = [Fresh]()
        var refusals = [Refusal: Int]()
        var refused = AccessTally()
        var freshRefusals = [FreshRefusal]()
        var unlisted = 0
    }

    /// Whether what is read is noted; refusals always are.
    package let notesReads: Bool
    private let state = Mutex(State())
    private struct Output: Sendable {
        var log: AccessLog
        /// What was seen and has no place.
        var failures = 0
        var hasBegun = false
    }

    private let output: Mutex<Output>
    /// The launcher's log, which it writes when the folder stays: just before the job begins.
    private let beginning: String

    /// `path`: the log, in a folder that may appear only later. `header`: what the first line says.
    package init(path: String, notesReads: Bool, header: [String: JSONValue]) {
        self.notesReads = notesReads
        beginning = Files.parent(path) + "/" + AccessLogName.launcher
        output = Mutex(Output(log: AccessLog(path: path, header: header)))
    }

    private static var now: AccessLog.Nanoseconds { Clock.now().nanosecondsSince1970 }

    /// A stored file is opened or read.
    func note(_ id: NodeID) {
        guard notesReads else { return }
        let time = Self.now
        state.withLock { state in
            if let n = state.numbers[id] { return state.tally.again(n, at: time) }
            let n = state.tally.begin(at: time)
            state.numbers[id] = n
            state.fresh.append(Fresh(n: n, node: id, time: time))
        }
    }

    /// Something in, or about, the directory `id` is refused to the process `pid` (0: not known).
    func refuse(_ operation: String, _ id: NodeID, name: [UInt8] = [], pid: Int32) {
        let refusal = Refusal(node: id, name: name, operation: operation)
        let (time, command) = (Self.now, Self.command(of: pid))
        state.withLock { state in
            if let n = state.refusals[refusal] { return state.refused.again(n, at: time) }
            guard state.refusals.count < Self.placeLimit else {
                state.unlisted += 1
                return
            }
            let n = state.refused.begin(at: time)
            state.refusals[refusal] = n
            state.freshRefusals.append(FreshRefusal(n: n, refusal: refusal, time: time, pid: pid, command: command))
        }
    }

    private static func command(of pid: Int32) -> String? {
        guard pid > 0, let bytes = try? Files.read("/proc/\(pid)/comm", limit: 64) else { return nil }
        return NameText.encode(bytes.prefix { $0 != 0x0a })
    }

    /// Appends to the log what was seen since the last call; with `ending` also how often in all, and that this is the end.
    /// (Files that are read again and again would fill the log before.)
    package func write(_ tree: VirtualTree, ending: Bool = false) {
        output.withLock { output in
            let (fresh, refusals) = state.withLock { state in
                defer { (state.fresh, state.freshRefusals) = ([], []) }
                return (state.fresh, state.freshRefusals)
            }
            // The folder may still be replaced while nothing runs. Once something does, the first line tells that somebody
            // watches, so that a server which is killed before anything is read does not pass for none.
            let isFirst = !output.hasBegun && Files.exists(beginning)
            guard ending || isFirst || !fresh.isEmpty || !refusals.isEmpty else { return }
            for one in fresh { Self.put(one, tree, &output) }
            for one in refusals { Self.put(one, tree, &output) }
            if ending { end(&output) }
            if output.log.flush() { output.hasBegun = true }
        }
    }

    private static func put(_ one: Fresh, _ tree: VirtualTree, _ output: inout Output) {
        guard let location = (try? tree.location(of: one.node)) ?? nil else {
            output.failures += 1
            return
        }
        output.log.opened(
            one.n, location.source, path: location.path, at: one.time, digest: location.digest, size: location.size)
    }

    private static func put(_ one: FreshRefusal, _ tree: VirtualTree, _ output: inout Output) {
        guard let location = (try? tree.location(of: one.refusal.node)) ?? nil else {
            output.failures += 1
            return
        }
        let name = one.refusal.name
        let path = location.path + (location.path.isEmpty || name.isEmpty ? [] : [0x2f]) + name
        var line: [String: JSONValue] = [
            "d": .integer(Int64(one.n)), "at": .integer(one.time), "denied": .string(one.refusal.operation),
            "path": .string(NameText.encode(path)), "s": .integer(Int64(output.log.number(of: location.source))),
        ]
        if one.pid > 0 { line["pid"] = .integer(Int64(one.pid)) }
        if let command = one.command { line["command"] = .string(command) }
        output.log.append(.object(line))
    }

    private func end(_ output: inout Output) {
        let (unlisted, again, refusedAgain) = state.withLock { state in
            var again = [(Int, AccessTally.Entry)](), refused = [(Int, AccessTally.Entry)]()
            state.tally.takeDue { again.append(($0, $1)) }
            state.refused.takeDue { refused.append(($0, $1)) }
            return (state.unlisted, again, refused)
        }
        for (n, entry) in again { output.log.again(n, count: Int(entry.count), last: entry.last) }
        for (n, entry) in refusedAgain {
            output.log.append(
                ["d": .integer(Int64(n)), "count": .integer(Int64(entry.count)), "last": .integer(entry.last)])
        }
        var line: [String: JSONValue] = [
            "end": .integer(Self.now), "lost": .integer(Int64(output.failures)), "unlisted": .integer(Int64(unlisted)),
        ]
        if output.failures > 0 { line["reason"] = "a file that was read has no place" }
        output.log.append(.object(line))
    }
}
