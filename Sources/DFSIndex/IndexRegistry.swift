import DFSModel
import Glibc
import Synchronization

/// The indexes that this process has open, by path.
///
/// A process must not have the same LMDB files open twice: closing one environment would drop the POSIX locks of the
/// other, and another process would take the lock file for abandoned. So opening and closing happen under one mutex.
enum IndexRegistry {
    private struct Entry {
        weak var index: Index?
        let token: UInt64
    }
    private enum Answer {
        case ready(Index)
        case closing
    }
    private static let entries = Mutex<[String: Entry]>([:])

    static func index(_ place: IndexDirectory) throws(DFSError) -> Index {
        while true {
            // Held here so that its deinit, which takes the mutex, cannot run under the mutex.
            var previous: Index?
            defer { withExtendedLifetime(previous) {} }
            let answer = try entries.withLock { entries throws(DFSError) -> Answer in
                var retired: FileIdentity?
                if let entry = entries[place.path] {
                    previous = entry.index
                    guard let index = entry.index else { return .closing }
                    if index.serves(place) { return .ready(index) }
                    retired = index.retire()
                }
                let index = try Index(opening: place, replacing: retired)
                entries[place.path] = Entry(index: index, token: index.token)
                return .ready(index)
            }
            if case .ready(let index) = answer { return index }
            usleep(200)
        }
    }

    /// Runs `body`, which closes the environment of the index of that token.
    static func close(path: String, token: UInt64, _ body: () -> Void) {
        entries.withLock { entries in
            body()
            if entries[path]?.token == token { entries[path] = nil }
        }
    }
}
