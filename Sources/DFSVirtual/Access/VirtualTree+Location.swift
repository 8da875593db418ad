import DFSModel
import DFSRuns
import DFSStore

extension VirtualTree {
    /// Where a node of a stored tree is.
    struct Location: Sendable {
        var source: AccessSource
        /// Slash-joined, below the source's root.
        var path: [UInt8]
        /// Of a file.
        var digest: Digest?
        var size: UInt64?
    }

    /// The place of a stored file or directory; `nil` of anything else.
    func location(of id: NodeID) throws(DFSError) -> Location? {
        var names = [[UInt8]]()
        var file: TreeEntry?
        switch try node(id) {
        case .directory(_, .stored): break
        case .entry(let entry, _):
            names.append(entry.name)
            file = entry
        default: return nil
        }
        var number = id.directory
        while true {
            guard case .stored(let stored) = try directory(number), let origin = table.origin(of: number) else {
                return nil
            }
            switch origin {
            case .child(let parent, _), .place(.below(let parent, _)):
                names.append(stored.entry.name)
                number = parent
            case .place(let place):
                guard let source = try source(place, stored) else { return nil }
                return Location(
                    source: source, path: Array(names.reversed().joined(separator: [0x2f])),
                    digest: file?.kind == .file ? file?.content.digest : nil, size: file?.size)
            }
        }
    }

    private func source(_ place: Place, _ root: StoredDirectory) throws(DFSError) -> AccessSource? {
        switch place {
        case .version, .data:
            root.provenance.map { .dataset($0.dataset, version: $0.version) }
        case .snapshot(let project, let id): .code(project: project, snapshot: id)
        case .tree(let run, let tree): .run(run, part: tree.rawValue)
        default: nil
        }
    }
}
