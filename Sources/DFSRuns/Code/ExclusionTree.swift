/// The paths that a walk must pass over, kept by component so that a walk pays nothing in directories that hold none.
///
/// Immutable once made; may be read from several threads.
package final class ExclusionTree: Sendable {
    /// A directory on the way to excluded paths.
    package final class Node: Sendable {
        fileprivate let children: [[UInt8]: Node]
        fileprivate let isExcluded: Bool

        fileprivate init(children: [[UInt8]: Node], isExcluded: Bool) {
            self.children = children
            self.isExcluded = isExcluded
        }
    }

    /// What to do with an entry.
    package enum Verdict: Sendable {
        case skip
        /// Read it; in a directory, ask on with the node (`nil`: nothing below is excluded but `.git`).
        case visit(Node?)
    }

    package let root: Node

    /// From paths with slashes between components.
    package init(_ paths: some Sequence<[UInt8]>) {
        let builder = Builder()
        for path in paths { builder.add(path.split(separator: UInt8(ascii: "/"))) }
        root = builder.node()
    }

    /// The verdict on an entry of the directory that `node` stands for. Entries named `.git` are never visited.
    package static func verdict(_ node: Node?, _ name: [UInt8]) -> Verdict {
        if name.count == 4, name == [0x2e, 0x67, 0x69, 0x74] { return .skip }
        guard let node, !node.children.isEmpty, let child = node.children[name] else { return .visit(nil) }
        return child.isExcluded ? .skip : .visit(child)
    }

    /// Whether a walk should go to the path: neither it nor a directory above it is excluded.
    package func shouldVisit(_ components: [[UInt8]], isDirectory: Bool) -> Bool {
        var node: Node? = root
        for name in components {
            switch Self.verdict(node, name) {
            case .skip: return false
            case .visit(let next): node = next
            }
        }
        return true
    }

    private final class Builder {
        var children = [[UInt8]: Builder]()
        var isExcluded = false

        func add(_ components: [ArraySlice<UInt8>]) {
            var here = self
            for name in components {
                let name = Array(name)
                let next = here.children[name] ?? Builder()
                here.children[name] = next
                here = next
            }
            if !components.isEmpty { here.isExcluded = true }
        }

        func node() -> Node {
            Node(children: isExcluded ? [:] : children.mapValues { $0.node() }, isExcluded: isExcluded)
        }
    }
}
