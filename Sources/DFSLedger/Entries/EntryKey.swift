/// Where entries stand in a store.
package enum EntryKey {
    /// `ledger/` and below it a folder of the first nine, a file of all twelve digits.
    package static func path(_ sequence: UInt64) -> String {
        let digits = String(sequence)
        let padded = String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits
        return "\(folder)\(padded.prefix(9))/\(padded).json"
    }

    package static let folder = "ledger/"
    /// Entries whose numbers differ in the last three digits only share a folder.
    static let perFolder: UInt64 = 1000

    /// Nine digits.
    static func folderName(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 9 - digits.utf8.count)) + digits
    }

    /// The numbers of the entries in a folder; there is no entry 0.
    static func entries(ofFolder number: UInt64) -> ClosedRange<UInt64> {
        max(1, number * perFolder)...number * perFolder + perFolder - 1
    }

    /// The sequence number that `path` stands for; `nil` when it is no entry's path.
    package static func sequence(_ path: String) -> UInt64? {
        guard path.hasSuffix(".json"), let slash = path.lastIndex(of: "/") else { return nil }
        let digits = path[path.index(after: slash)...].dropLast(5)
        guard digits.utf8.count == 12, let sequence = UInt64(digits), sequence > 0, Self.path(sequence) == path
        else { return nil }
        return sequence
    }
}
