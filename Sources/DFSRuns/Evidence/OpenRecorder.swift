import DFSModel
import DFSSystem
import Synchronization

/// Notes which files below the run's data were opened, from the paths that the kernel tells.
///
/// Thread-safe. What was noted is in the log after each `write`.
package final class OpenRecorder: Sendable {
    /// Where a frozen tree is in the job's view.
    package struct Place: Sendable {
        let path: [UInt8]
        let source: AccessSource
        /// In the tree; links count too, and are never opened.
        let files: UInt64

        /// `path` without links, as the kernel has it.
        package init(path: [UInt8], source: AccessSource, files: UInt64) {
            self.path = path
            self.source = source
            self.files = files
        }
    }

    private struct State: Sendable {
        var log: AccessLog
        /// Of the longest path first: what is mounted in another is it.
        var places: [Place] = []
        var tables: [AccessSource: Int] = [:]
        var known: [PathTable] = []
        /// The number in the log of each path, by table.
        var numbers: [[Int]] = []
        var tally = AccessTally()
        var strange = 0
    }

    private let state: Mutex<State>

    package init(log: AccessLog) { state = Mutex(State(log: log)) }

    package func watch(_ places: [Place]) {
        state.withLock { state in
            state.places = places.sorted { $0.path.count > $1.path.count }
            for place in places where state.tables[place.source] == nil {
                state.tables[place.source] = state.known.count
                state.known.append(PathTable())
                state.numbers.append([])
            }
        }
    }

    /// A file was opened; `path` as the job's namespace has it.
    package func note(_ path: UnsafeRawBufferPointer, at time: Timestamp) {
        state.withLock { Self.note(path, time.nanosecondsSince1970, &$0) }
    }

    private static func note(_ path: UnsafeRawBufferPointer, _ time: AccessLog.Nanoseconds, _ state: inout State) {
        guard let place = state.places.first(where: { isBelow(path, $0.path) }), let table = state.tables[place.source]
        else {
            state.strange += 1
            return
        }
        let inside = UnsafeRawBufferPointer(rebasing: path[(place.path.count + 1)...])
        let (i, isNew) = state.known[table].number(of: inside)
        guard isNew else { return state.tally.again(state.numbers[table][i], at: time) }
        let n = state.tally.begin(at: time)
        state.numbers[table].append(n)
        state.log.opened(n, place.source, path: inside, at: time)
    }

    private static func isBelow(_ path: UnsafeRawBufferPointer, _ base: [UInt8]) -> Bool {
        path.count > base.count + 1 && path[base.count] == 0x2f && path.starts(with: base)
    }

    /// Whether every file of every place was seen: there is nothing left to learn.
    package var isComplete: Bool {
        state.withLock { state in
            !state.places.isEmpty
                && state.places.allSatisfy { place in
                    state.tables[place.source].map { UInt64(state.known[$0].count) >= place.files } ?? false
                }
        }
    }

    package func append(_ line: JSONValue) { state.withLock { $0.log.append(line) } }

    package func write() { state.withLock { _ = $0.log.flush() } }

    /// Writes how often files were seen in all, and that this is the end. `lost`: what could not be noted, and why.
    package func end(lost: Int, reason: String?) {
        state.withLock { state in
            state.tally.takeDue { n, entry in state.log.again(n, count: Int(entry.count), last: entry.last) }
            var line: [String: JSONValue] = [
                "end": .integer(Clock.now().nanosecondsSince1970), "lost": .integer(Int64(lost + state.strange)),
            ]
            if let reason = reason ?? (state.strange > 0 ? "a path was below none of the mounts" : nil) {
                line["reason"] = .string(reason)
            }
            state.log.append(.object(line))
            state.log.flush()
        }
    }
}
