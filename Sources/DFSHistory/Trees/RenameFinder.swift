import DFSModel
import DFSStore
import DFSSystem

/// Which paths of a comparison are one thing that moved.
struct Renames {
    /// Old paths.
    var sources = Set<[UInt8]>()
    /// By new path: what was where before.
    var targets = [[UInt8]: (path: [UInt8], entry: TreeEntry)]()
}

/// Pairs what is gone with what is new by kind, executable bit and content.
///
/// Directories are paired before what is in them, the largest first. Of several with the same content those with the same
/// last name are paired first, then what is left, each in order of paths. What has no content (an empty file, a directory
/// of no files) is paired by its last name only.
struct RenameFinder {
    private let reader: TreeReader
    private var gone = [Candidate]()
    private var new = [Candidate]()
    private var renames = Renames()
    /// Directories above what was paired: as a whole they are no longer what they were.
    private var broken = Broken()

    private struct Candidate {
        let path: [UInt8]
        let entry: TreeEntry

        var name: [UInt8] { entry.name }
        var key: Key { Key(letter: entry.letter, content: entry.content) }
        var isEmpty: Bool { entry.kind == .directory ? entry.files == 0 : entry.size == 0 }
    }

    private struct Key: Hashable {
        let letter: UInt8
        let content: ContentDigest
    }

    private struct Broken {
        var gone = Set<[UInt8]>()
        var new = Set<[UInt8]>()
    }

    private struct Group {
        var gone = [Candidate]()
        var new = [Candidate]()
    }

    init(reader: TreeReader) { self.reader = reader }

    /// Takes a change without what is below it.
    mutating func note(_ change: TreeChange) {
        if change.kind == .removed, let entry = change.before {
            gone.append(Candidate(path: change.path, entry: entry))
        }
        if change.kind == .added, let entry = change.after { new.append(Candidate(path: change.path, entry: entry)) }
    }

    mutating func find() throws(DFSError) -> Renames {
        // A directory that moved as a whole is not read.
        for group in Self.wholeDirectories(gone, new) { pair(group) }
        gone.removeAll { renames.sources.contains($0.path) }
        new.removeAll { renames.targets.keys.contains($0.path) }
        guard !gone.isEmpty, !new.isEmpty else { return renames }
        let groups = try self.groups()
        let directories = groups.filter { $0.gone[0].entry.kind == .directory }.sorted(by: Self.isLarger)
        for group in directories { pair(group) }
        for group in groups where group.gone[0].entry.kind != .directory { pair(group) }
        return renames
    }

    // MARK: Groups

    private static func wholeDirectories(_ gone: [Candidate], _ new: [Candidate]) -> [Group] {
        var groups = [Key: Group]()
        for candidate in gone where candidate.entry.kind == .directory {
            groups[candidate.key, default: Group()].gone.append(candidate)
        }
        for candidate in new { groups[candidate.key]?.new.append(candidate) }
        return groups.values.filter { !$0.new.isEmpty }.sorted(by: isLarger)
    }

    /// All that is on both sides. The side with fewer files is held, of the other only what has its like there.
    private func groups() throws(DFSError) -> [Group] {
        let goneIsLess = Self.count(gone) <= Self.count(new)
        var groups = [Key: Group]()
        try forEach(goneIsLess ? gone : new) { candidate in
            if goneIsLess {
                groups[candidate.key, default: Group()].gone.append(candidate)
            } else {
                groups[candidate.key, default: Group()].new.append(candidate)
            }
        }
        try forEach(goneIsLess ? new : gone) { candidate in
            if goneIsLess {
                groups[candidate.key]?.new.append(candidate)
            } else {
                groups[candidate.key]?.gone.append(candidate)
            }
        }
        return groups.values.filter { !$0.gone.isEmpty && !$0.new.isEmpty }
    }

    private static func count(_ candidates: [Candidate]) -> UInt64 {
        candidates.reduce(0) { $0 + max(1, $1.entry.files) }
    }

    private func forEach(_ candidates: [Candidate], _ body: (Candidate) -> Void) throws(DFSError) {
        for candidate in candidates {
            try reader.expand(candidate.entry, candidate.path) { path, entry throws(DFSError) in
                body(Candidate(path: path, entry: entry))
                return true
            }
        }
    }

    /// A directory comes before those in it: they have no more files, and longer paths where they have as many.
    private static func isLarger(_ a: Group, _ b: Group) -> Bool {
        let (x, y) = (a.gone[0], b.gone[0])
        if x.entry.files != y.entry.files { return x.entry.files > y.entry.files }
        if x.path.count != y.path.count { return x.path.count < y.path.count }
        return ByteOrder.precedes(x.path, y.path)
    }

    // MARK: Pairs

    private mutating func pair(_ group: Group) {
        var free = group.new.filter { isFree($0, among: renames.targets.keys.contains, broken.new) }
        let gone = group.gone.filter { isFree($0, among: renames.sources.contains, broken.gone) }
        var byName = [[UInt8]: [Int]]()
        for (i, candidate) in free.enumerated().reversed() { byName[candidate.name, default: []].append(i) }
        var used = Set<Int>()
        var left = [Candidate]()
        for candidate in gone {
            if let i = byName[candidate.name]?.popLast() {
                used.insert(i)
                note(candidate, free[i])
            } else if !candidate.isEmpty {
                left.append(candidate)
            }
        }
        guard !left.isEmpty else { return }
        free = free.enumerated().filter { !used.contains($0.offset) }.map(\.element)
        for (old, new) in zip(left, free) { note(old, new) }
    }

    private mutating func note(_ old: Candidate, _ new: Candidate) {
        renames.sources.insert(old.path)
        renames.targets[new.path] = (old.path, old.entry)
        guard old.entry.kind == .directory else { return }
        for path in Self.ancestors(old.path) { broken.gone.insert(path) }
        for path in Self.ancestors(new.path) { broken.new.insert(path) }
    }

    /// Whether nothing of it and nothing that it is in was paired before.
    private func isFree(_ candidate: Candidate, among paired: ([UInt8]) -> Bool, _ broken: Set<[UInt8]>) -> Bool {
        !broken.contains(candidate.path) && !paired(candidate.path)
            && !Self.ancestors(candidate.path).contains(where: paired)
    }

    private static func ancestors(_ path: [UInt8]) -> [[UInt8]] {
        path.indices.filter { path[$0] == 0x2f }.map { Array(path[..<$0]) }
    }
}
