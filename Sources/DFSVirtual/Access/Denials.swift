import DFSHistory
import DFSModel
import DFSStore

/// Which parts of history a tree refuses to show the content of (`--deny`), whichever way leads to them: by their place in
/// a dataset, in each of its versions; and by their content, wherever it is met.
package struct Denials: Sendable {
    package struct Rule: Sendable, Equatable {
        package var dataset: String
        package var version: Int
        /// Empty: all of that one version.
        package var path: [[UInt8]]
        package var content: ContentDigest
        package var isDirectory: Bool
        /// Whether there is nothing in it: such content is everywhere, and says nothing.
        package var isEmpty: Bool

        /// `ct@v12/split/test`; names that are no UTF-8 are not exact.
        package var reference: String {
            "\(dataset)@v\(version)" + path.map { "/" + String(decoding: $0, as: UTF8.self) }.joined()
        }

        package init(dataset: String, version: Int, path: [[UInt8]], entry: TreeEntry) {
            self.dataset = dataset
            self.version = version
            self.path = path
            content = entry.content
            isDirectory = entry.kind == .directory
            isEmpty = entry.size == 0 && entry.files == 0
        }
    }

    package let rules: [Rule]
    private let directories: Set<ContentDigest>
    private let files: Set<ContentDigest>

    package init(_ rules: [Rule] = []) {
        self.rules = rules
        let known = rules.filter { !$0.isEmpty }
        directories = Set(known.filter(\.isDirectory).map(\.content))
        files = Set(known.filter { !$0.isDirectory }.map(\.content))
    }

    package var isEmpty: Bool { rules.isEmpty }

    /// Where an entry stands to the rules.
    package struct Standing: Sendable {
        package var isDenied = false
        /// Rules of whose paths it is a beginning, and how much of each it is.
        fileprivate var open: [(rule: Int, depth: Int)] = []

        package init() {}
    }

    /// Of the root of a tree; `version` where it is one of a dataset.
    package func standing(of root: TreeEntry, version: (dataset: String, number: Int)?) -> Standing {
        var standing = Standing()
        if rules.isEmpty { return standing }
        standing.isDenied = isDenied(content: root)
        guard let version else { return standing }
        for (i, rule) in rules.enumerated() where rule.dataset == version.dataset {
            if !rule.path.isEmpty {
                standing.open.append((i, 0))
            } else if rule.version == version.number {
                standing.isDenied = true
            }
        }
        return standing
    }

    /// Of an entry in a directory that is not denied itself.
    package func standing(of entry: TreeEntry, in directory: Standing) -> Standing {
        var standing = Standing()
        if rules.isEmpty { return standing }
        standing.isDenied = directory.isDenied || isDenied(content: entry)
        for (rule, depth) in directory.open where rules[rule].path[depth] == entry.name {
            if depth + 1 == rules[rule].path.count {
                standing.isDenied = true
            } else {
                standing.open.append((rule, depth + 1))
            }
        }
        return standing
    }

    private func isDenied(content entry: TreeEntry) -> Bool {
        switch entry.kind {
        case .directory: directories.contains(entry.content)
        case .file: files.contains(entry.content)
        case .symlink: false
        }
    }

    /// The topmost denied places in a tree, `version` where it is one of a dataset: paths, each with whether it is a
    /// directory. Every directory of the tree is looked at.
    package func places(
        in root: TreeEntry, version: (dataset: String, number: Int)?, reader: DFSHistory.TreeReader
    ) throws(DFSError) -> [(path: [[UInt8]], isDirectory: Bool)] {
        let top = standing(of: root, version: version)
        if top.isDenied { return [([], true)] }
        var out = [(path: [[UInt8]], isDirectory: Bool)]()
        var pending = [(path: [[UInt8]](), entry: root, standing: top)]
        while let (path, directory, standing) = pending.popLast() {
            guard let address = directory.address else { continue }
            try reader.forEach(in: address) { entry throws(DFSError) in
                let next = self.standing(of: entry, in: standing)
                if next.isDenied {
                    out.append((path + [entry.name], entry.kind == .directory))
                } else if entry.kind == .directory {
                    pending.append((path + [entry.name], entry, next))
                }
                return true
            }
        }
        return out
    }
}

extension Denials {
    /// What a program is told that meets a denied place.
    static func refusal() -> DFSError { DFSError(.operational, "this run is denied it", errno: 13) }

    package var json: JSONValue {
        .array(
            rules.map { rule in
                [
                    "dataset": .string(rule.dataset), "version": .integer(Int64(rule.version)),
                    "path": .array(rule.path.map { .string(NameText.encode($0)) }),
                    "content": .string(rule.content.digest.text), "directory": .bool(rule.isDirectory),
                    "empty": .bool(rule.isEmpty),
                ]
            })
    }

    /// `nil` for anything but what `json` gives: whoever cannot read it must not serve.
    package init?(json: JSONValue) {
        guard let array = json.array else { return nil }
        let rules = array.compactMap { Rule(json: $0) }
        guard rules.count == array.count else { return nil }
        self.init(rules)
    }
}

extension Denials.Rule {
    fileprivate init?(json: JSONValue) {
        guard let dataset = json["dataset"]?.string, let version = json["version"]?.integer.flatMap(Int.init(exactly:)),
            let names = json["path"]?.array, let content = json["content"]?.digest,
            let isDirectory = json["directory"]?.bool, let isEmpty = json["empty"]?.bool
        else { return nil }
        path = names.compactMap { $0.string.flatMap(NameText.decode) }
        guard path.count == names.count else { return nil }
        self.dataset = dataset
        self.version = version
        self.content = ContentDigest(content)
        self.isDirectory = isDirectory
        self.isEmpty = isEmpty
    }
}
