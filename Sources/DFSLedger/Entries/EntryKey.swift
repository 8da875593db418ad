/// Where entries stand in a store.
package enum EntryKey {
    /// `ledger/` and below it a folder of the first nine, a file of all twelve digits.
    package static func path(_ sequence: UInt64) -> String {
        let digits = String(sequence)
        let padded = String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits
        return "\(folder)\(padded.prefix(padded.utf8.count - 3))/\(padded).json"
    }

    package static let folder = "ledger/"

    /// The sequence number that `path` stands for; `nil` when it is no entry's path.
    package static func sequence(_ path: String) -> UInt64? {
        guard path.hasSuffix(".json"), let slash = path.lastIndex(of: "/"),
            let sequence = UInt64(path[path.index(after: slash)...].dropLast(5)), sequence > 0,
            Self.path(sequence) == path
        else { return nil }
        return sequence
    }
}
