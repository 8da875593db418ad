import DFSModel
import DFSStore
import DFSSystem

/// One difference between two trees.
package struct TreeChange: Sendable, Equatable {
    package enum Kind: String, Sendable { case added, removed, modified }

    package let kind: Kind
    /// Slash-joined, relative to the roots.
    package let path: [UInt8]
    package let before: TreeEntry?
    package let after: TreeEntry?

    package init(kind: Kind, path: [UInt8], before: TreeEntry?, after: TreeEntry?) {
        self.kind = kind
        self.path = path
        self.before = before
        self.after = after
    }
}

/// Compares two trees by what the content digest covers: kind, executable bit, name, content. Equal subtrees are not read.
package struct TreeDiff {
    private let reader: TreeReader

    package init(reader: TreeReader) { self.reader = reader }

    /// Calls `body` with each difference in order of paths. A directory that is only on one side is reported, and then
    /// everything below it.
    package func changes(
        from old: TreeEntry, to new: TreeEntry, prefix: [UInt8] = [],
        _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        guard old.content != new.content else { return }
        let a = try entries(old), b = try entries(new)
        var i = 0, j = 0
        while i < a.count || j < b.count {
            let order = i == a.count ? 1 : j == b.count ? -1 : ByteOrder.compare(a[i].name, b[j].name)
            if order < 0 {
                try all(.removed, a[i], prefix, body)
                i += 1
            } else if order > 0 {
                try all(.added, b[j], prefix, body)
                j += 1
            } else {
                try both(a[i], b[j], prefix, body)
                i += 1
                j += 1
            }
        }
    }

    private func entries(_ directory: TreeEntry) throws(DFSError) -> [TreeEntry] {
        guard let address = directory.address, directory.kind == .directory else { return [] }
        return try reader.entries(of: address)
    }

    private func both(
        _ old: TreeEntry, _ new: TreeEntry, _ prefix: [UInt8], _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        if old.letter == new.letter && old.content == new.content { return }
        if old.kind == .directory && new.kind == .directory {
            return try changes(from: old, to: new, prefix: join(prefix, old.name), body)
        }
        if old.kind == .directory || new.kind == .directory {
            try all(.removed, old, prefix, body)
            return try all(.added, new, prefix, body)
        }
        try body(TreeChange(kind: .modified, path: join(prefix, new.name), before: old, after: new))
    }

    private func all(
        _ kind: TreeChange.Kind, _ entry: TreeEntry, _ prefix: [UInt8],
        _ body: (TreeChange) throws(DFSError) -> Void
    ) throws(DFSError) {
        let path = join(prefix, entry.name)
        try body(
            TreeChange(
                kind: kind, path: path, before: kind == .removed ? entry : nil, after: kind == .added ? entry : nil))
        guard entry.kind == .directory, let address = entry.address else { return }
        try reader.forEach(in: address) { child throws(DFSError) in
            try self.all(kind, child, path, body)
            return true
        }
    }

    private func join(_ prefix: [UInt8], _ name: [UInt8]) -> [UInt8] {
        prefix.isEmpty ? name : prefix + [0x2f] + name
    }
}
