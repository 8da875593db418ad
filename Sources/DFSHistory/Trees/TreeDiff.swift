import DFSModel
import DFSStore
import DFSSystem

/// One difference between two trees.
package struct TreeChange: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable { case added, removed, modified, renamed }

    package let kind: Kind
    /// Slash-joined, relative to the roots.
    package let path: [UInt8]
    /// Of what was renamed: its path before.
    package let from: [UInt8]?
    package let before: TreeEntry?
    package let after: TreeEntry?

    package init(kind: Kind, path: [UInt8], from: [UInt8]? = nil, before: TreeEntry?, after: TreeEntry?) {
        self.kind = kind
        self.path = path
        self.from = from
        self.before = before
        self.after = after
    }
}

/// Compares two trees by what the content digest covers: kind, executable bit, name, content. Equal subtrees, and nodes that
/// two versions of a directory share, are not read.
package struct TreeDiff {
    private let reader: TreeReader

    package init(reader: TreeReader) { self.reader = reader }

    /// Calls `body` with each difference in order of paths, as soon as it is found. A directory that is only on one side is
    /// reported, and then everything below it.
    package func changes(
        from old: TreeEntry, to new: TreeEntry, _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        try changes(from: old, to: new, Renames(), body)
    }

    /// As `changes`, but what is gone at one path and new at another with the same kind and content is one change of kind
    /// `renamed`, at the new path; below a renamed directory nothing is reported.
    ///
    /// Goes over the changed nodes once before the first call. Memory: proportional to what is gone or to what is new,
    /// whichever is less.
    package func changesWithRenames(
        from old: TreeEntry, to new: TreeEntry, _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        var finder = RenameFinder(reader: reader)
        try roots(from: old, to: new) { change throws(DFSError) in finder.note(change) }
        try changes(from: old, to: new, try finder.find(), body)
    }

    private func changes(
        from old: TreeEntry, to new: TreeEntry, _ renames: Renames, _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        try roots(from: old, to: new) { change throws(DFSError) in
            switch change.kind {
            case .modified, .renamed: try body(change)
            case .removed:
                guard let entry = change.before else { return }
                try reader.expand(entry, change.path) { path, entry throws(DFSError) in
                    if renames.sources.contains(path) { return false }
                    try body(TreeChange(kind: .removed, path: path, before: entry, after: nil))
                    return true
                }
            case .added:
                guard let entry = change.after else { return }
                try reader.expand(entry, change.path) { path, entry throws(DFSError) in
                    if let source = renames.targets[path] {
                        try body(
                            TreeChange(
                                kind: .renamed, path: path, from: source.path, before: source.entry, after: entry))
                        return false
                    }
                    try body(TreeChange(kind: .added, path: path, before: nil, after: entry))
                    return true
                }
            }
        }
    }

    /// Calls `body` with each difference in order of paths, without what is below a directory that is only on one side.
    private func roots(
        from old: TreeEntry, to new: TreeEntry, prefix: [UInt8] = [], _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        guard old.content != new.content else { return }
        var a = try DirectoryCursor(old, reader: reader), b = try DirectoryCursor(new, reader: reader)
        while !a.isAtEnd || !b.isAtEnd {
            if !a.isAtEnd, !b.isAtEnd, a.standsOnSame(as: b) {
                a.advance()
                b.advance()
                continue
            }
            let order = a.isAtEnd ? 1 : b.isAtEnd ? -1 : ByteOrder.compare(a.name, b.name)
            if order < 0 {
                try one(&a, .removed, prefix, body)
            } else if order > 0 {
                try one(&b, .added, prefix, body)
            } else if a.level == 0, b.level == 0 {
                try both(a.entry, b.entry, prefix, body)
                a.advance()
                b.advance()
            } else if a.level == b.level, a.child == b.child {
                a.advance()
                b.advance()
            } else {
                let (levelA, levelB) = (a.level, b.level)
                if levelA >= levelB { try a.descend() }
                if levelB >= levelA { try b.descend() }
            }
        }
    }

    /// What stands before anything on the other side.
    private func one(
        _ cursor: inout DirectoryCursor, _ kind: TreeChange.Kind, _ prefix: [UInt8],
        _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        guard cursor.level == 0 else { return try cursor.descend() }
        let entry = cursor.entry
        try body(
            TreeChange(
                kind: kind, path: prefix.joined(with: entry.name), before: kind == .removed ? entry : nil,
                after: kind == .added ? entry : nil))
        cursor.advance()
    }

    private func both(
        _ old: TreeEntry, _ new: TreeEntry, _ prefix: [UInt8], _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        if old.letter == new.letter && old.content == new.content { return }
        let path = prefix.joined(with: new.name)
        if old.kind == .directory && new.kind == .directory {
            return try roots(from: old, to: new, prefix: path, body)
        }
        if old.kind == .directory || new.kind == .directory {
            try body(TreeChange(kind: .removed, path: path, before: old, after: nil))
            return try body(TreeChange(kind: .added, path: path, before: nil, after: new))
        }
        try body(TreeChange(kind: .modified, path: path, before: old, after: new))
    }
}

extension TreeReader {
    /// Calls `body` with `entry` at `path`, and with what is below it for as long as it returns `true`.
    func expand(
        _ entry: TreeEntry, _ path: [UInt8], _ body: ([UInt8], TreeEntry) throws(DFSError) -> Bool
    ) throws(DFSError) {
        guard try body(path, entry), entry.kind == .directory, let address = entry.address else { return }
        try forEach(in: address) { child throws(DFSError) in
            try self.expand(child, path.joined(with: child.name), body)
            return true
        }
    }
}

extension [UInt8] {
    /// The path of `name` in the directory at this path.
    func joined(with name: [UInt8]) -> [UInt8] { isEmpty ? name : self + [0x2f] + name }
}
