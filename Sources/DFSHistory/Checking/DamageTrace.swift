import DFSChunking
import DFSModel
import DFSStore
import DFSSystem

/// Says which paths of which trees need what a check found wrong: goes down every tree again, where something below is wrong.
struct DamageTrace {
    /// Places that need something: so many, the first of them by name.
    struct Affected: Sendable {
        static let limit = 20
        var paths: [String] = []
        var count = 0

        mutating func add(_ path: String) {
            count += 1
            if paths.count < Self.limit { paths.append(path) }
        }
    }

    private let check: TreeCheck
    /// Without it, what is sound is not looked into.
    private let everywhere: Bool
    private var tainted = [ObjectAddress: Bool]()
    private(set) var affected = [TreeCheck.Cause: Affected]()
    /// Objects that no pack lists.
    private(set) var nowhere = Set<Digest>()

    init(check: TreeCheck) {
        self.check = check
        everywhere = check.facts.hasWrongFiles
    }

    /// Notes that the place needs what has these causes.
    mutating func note(_ causes: Set<TreeCheck.Cause>, _ place: String) {
        var kinds = Set<TreeCheck.Cause>()
        for cause in causes {
            guard case .nowhere(let digest) = cause else {
                kinds.insert(cause)
                continue
            }
            // Told as one: nobody knows in which packs they were.
            nowhere.insert(digest)
            kinds.insert(.nowhere(.zero))
        }
        for kind in kinds { affected[kind, default: Affected()].add(place) }
    }

    /// Whether everything below is as it should be.
    mutating func trace(_ root: TreeReference, _ name: String) -> Bool {
        let before = affected.isEmpty ? 0 : affected.values.reduce(0) { $0 + $1.count }
        directory(.root(root, modified: Timestamp(seconds: 0, nanoseconds: 0)), name)
        return affected.values.reduce(0) { $0 + $1.count } == before
    }

    private mutating func directory(_ entry: TreeEntry, _ place: String) {
        guard let address = entry.address else { return }
        if check.facts.isMisclaimed(address), let content = check.facts.content(address),
            let node = check.facts.node(address)
        {
            if content != entry.content { note([.wrong("the content digest is not that of its entries")], place) }
            if node.files != entry.files || node.size != entry.size { note([.wrong("its totals are wrong")], place) }
        }
        node(address, place)
    }

    private mutating func node(_ address: ObjectAddress, _ place: String) {
        guard isTainted(address), let known = check.facts.node(address) else { return }
        let node: TreeNode
        do { node = try check.objects.node(address) } catch {
            return note(check.lost(address.digest, error), place)
        }
        if node.level > 0 {
            if known.isBad { note([.wrong("tree node \(address) does not fit what is below it")], place) }
            for i in 0..<node.count { self.node(node.address(i), place) }
            return
        }
        for i in 0..<node.count {
            let entry = node.entry(i)
            let path = place + "/" + NameText.display(entry.name)
            switch entry.kind {
            case .directory: directory(entry, path)
            case .symlink:
                if Digest.of(entry.target) != entry.content.digest {
                    note([.wrong("the link's digest is wrong")], path)
                }
            case .file: note(check.causes(of: entry), path)
            }
        }
    }

    private mutating func isTainted(_ address: ObjectAddress) -> Bool {
        if everywhere { return true }
        if let known = tainted[address] { return known }
        guard let node = check.facts.node(address) else { return false }
        var result = node.isBad
        for child in node.children {
            // All are asked, so that what is asked later is known.
            if check.facts.isMisclaimed(child) { result = true }
            if isTainted(child) { result = true }
        }
        tainted[address] = result
        return result
    }
}
