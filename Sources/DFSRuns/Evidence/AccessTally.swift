/// When files were seen, by their numbers in an `AccessLog`. Some 24 bytes for each.
package struct AccessTally: Sendable {
    package struct Entry: Sendable {
        package var last: AccessLog.Nanoseconds
        package var count: UInt32
        /// Seen again since that was last written.
        var isDue = false
    }

    package private(set) var entries: [Entry] = []
    private var due: [Int] = []

    package init() {}

    /// The next number.
    package mutating func begin(at time: AccessLog.Nanoseconds) -> Int {
        entries.append(Entry(last: time, count: 1))
        return entries.count - 1
    }

    package mutating func again(_ n: Int, at time: AccessLog.Nanoseconds) {
        entries[n].last = time
        if entries[n].count < .max { entries[n].count += 1 }
        guard !entries[n].isDue else { return }
        entries[n].isDue = true
        due.append(n)
    }

    /// Takes what was seen again since the last call.
    package mutating func takeDue(_ body: (_ n: Int, Entry) -> Void) {
        for n in due {
            entries[n].isDue = false
            body(n, entries[n])
        }
        due = []
    }
}
