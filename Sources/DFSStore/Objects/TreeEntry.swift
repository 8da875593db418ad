import DFSModel

/// One name in a directory.
package struct TreeEntry: Sendable, Equatable {
    package enum Kind: UInt8, Sendable { case file = 1, directory = 2, symlink = 3 }

    package var name: [UInt8]
    package var kind: Kind
    /// The nine permission bits.
    package var mode: UInt16
    package var modified: Timestamp
    /// Bytes of a file, of a symlink's target, or of all files below a directory.
    package var size: UInt64
    /// Files and symlinks below a directory; 0 for others.
    package var files: UInt64
    package var content: ContentDigest
    /// The recipe of a large file or the root node of a directory.
    package var address: ObjectAddress?
    /// The target of a symlink.
    package var target: [UInt8]

    package init(
        name: [UInt8], kind: Kind, mode: UInt16, modified: Timestamp, size: UInt64, files: UInt64 = 0,
        content: ContentDigest, address: ObjectAddress? = nil, target: [UInt8] = []
    ) {
        self.name = name
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.size = size
        self.files = files
        self.content = content
        self.address = address
        self.target = target
    }

    package var isExecutable: Bool { kind == .file && mode & 0o100 != 0 }

    /// What the content digest of a directory calls this kind of entry.
    package var letter: UInt8 {
        switch kind {
        case .file: isExecutable ? UInt8(ascii: "x") : UInt8(ascii: "f")
        case .directory: UInt8(ascii: "d")
        case .symlink: UInt8(ascii: "l")
        }
    }

    /// Whether `name` may stand in a directory: 1…255 bytes, no NUL, no slash, not `.` or `..`.
    package static func isValid(name: some RandomAccessCollection<UInt8>) -> Bool {
        guard (1...255).contains(name.count) else { return false }
        for byte in name where byte == 0 || byte == 0x2f { return false }
        return name.count > 2 || name.contains { $0 != 0x2e }
    }

    /// The directory itself as an entry without a name: what a version or a snapshot points to.
    package static func root(_ summary: TreeReference, modified: Timestamp, mode: UInt16 = 0o755) -> TreeEntry {
        TreeEntry(
            name: [], kind: .directory, mode: mode, modified: modified, size: summary.bytes, files: summary.files,
            content: summary.content, address: summary.tree)
    }
}
