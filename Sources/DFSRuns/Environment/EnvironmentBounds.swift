import DFSModel
import DFSSystem

/// Places of which no environment takes files, and over which none is put: the code and the data of the run, which are recorded
/// as such, the home directory as a whole, and what this program keeps.
package struct EnvironmentBounds: Sendable {
    /// A root of the code, absolute and without symlinks.
    package struct Root: Sendable {
        let path: String
        /// What its snapshot leaves out, relative to it.
        private let excluded: [[UInt8]]
        private let exclusions: ExclusionTree

        package init(_ survey: CodeSurvey) {
            self.init(path: survey.root, excluded: survey.excluded.filter { !$0.isPythonCache }.map(\.path))
        }

        private init(path: String, excluded: [[UInt8]]) {
            self.path = path
            self.excluded = excluded
            exclusions = ExclusionTree(excluded)
        }

        init?(_ json: JSONValue) {
            guard let path = json["path"]?.string else { return nil }
            self.init(
                path: path,
                excluded: (json["excluded"]?.array ?? []).compactMap { $0.string.flatMap { NameText.decode($0) } })
        }

        var json: JSONValue {
            ["excluded": .array(excluded.map { .string(NameText.encode($0)) }), "path": .string(path)]
        }

        fileprivate func verdict(_ path: String) -> Verdict {
            if EnvironmentBounds.lies(self.path, below: path) { return .refused("the code lies in it, \(self.path)") }
            guard path == self.path || EnvironmentBounds.lies(path, below: self.path) else { return .free }
            let slash = UInt8(ascii: "/")
            let inside = path.utf8.dropFirst(self.path.utf8.count).split(separator: slash).map { Array($0) }
            guard exclusions.shouldVisit(inside, isDirectory: true) else { return .free }
            let prefix = Array(inside.joined(separator: [slash])) + (inside.isEmpty ? [] : [slash])
            let leavesOut = excluded.contains { $0.starts(with: prefix) && !$0.suffix(4).elementsEqual(".git".utf8) }
            return leavesOut ? .refused("it lies in the code, whose snapshot has a part of it") : .recorded("code")
        }
    }

    package enum Verdict: Sendable, Equatable {
        case free
        /// The record of the run has it as its `code` or `data`.
        case recorded(String)
        /// Why.
        case refused(String)
    }

    private let roots: [Root]
    private let data: [String]
    private let home: String?
    /// Directories of this program.
    let withheld: [String]

    /// All paths are absolute. `data`: where data appears.
    package init(roots: [Root] = [], data: [String] = [], home: String? = nil, withheld: [String] = []) {
        self.roots = roots
        self.data = data.map { Files.resolved($0) ?? $0 }
        self.home = home.map { Files.resolved($0) ?? $0 }
        self.withheld = withheld
    }

    package init(json: JSONValue?) {
        func list(_ name: String) -> [String] { (json?[name]?.array ?? []).compactMap(\.string) }
        self.init(
            roots: (json?["roots"]?.array ?? []).compactMap { Root($0) }, data: list("data"),
            home: json?["home"]?.string, withheld: list("withheld"))
    }

    package var json: JSONValue {
        [
            "data": .array(data.map { .string($0) }), "home": home.map { .string($0) } ?? .null,
            "roots": .array(roots.map(\.json)), "withheld": .array(withheld.map { .string($0) }),
        ]
    }

    /// Of a path without symlinks.
    package func verdict(_ path: String) -> Verdict {
        if let home, path == home || Self.lies(home, below: path) { return .refused("the home directory lies in it") }
        if let place = withheld.first(where: { path == $0 || Self.lies(path, below: $0) }) {
            return .refused("it lies in \(place), which this program keeps")
        }
        for place in data {
            if path == place || Self.lies(path, below: place) { return .recorded("data") }
            if Self.lies(place, below: path) { return .refused("data of the run appears in it, \(place)") }
        }
        return roots.map { $0.verdict(path) }.first { $0 != .free } ?? .free
    }

    fileprivate static func lies(_ path: String, below other: String) -> Bool {
        path.hasPrefix(other == "/" ? "/" : other + "/") && path != other
    }

    /// What becomes of parts.
    package struct Division: Sendable {
        package fileprivate(set) var taken: [EnvironmentPart] = []
        /// As `code` or `data`.
        package fileprivate(set) var recorded: [(path: String, as: String)] = []
        package fileprivate(set) var refused: [(part: EnvironmentPart, reason: String)] = []
    }

    package func divide(_ parts: [EnvironmentPart]) -> Division {
        var out = Division()
        for part in parts {
            let isWhole = verdict(Files.resolved(part.path) ?? part.path) == .free || part.kind != .virtual
            // `python -m venv .`: of such a directory only what makes it an environment.
            for piece in isWhole ? [part] : Self.pieces(of: part) {
                switch verdict(Files.resolved(piece.path) ?? piece.path) {
                case .free: out.taken.append(piece)
                case .recorded(let name): out.recorded.append((piece.path, name))
                case .refused(let reason): out.refused.append((piece, reason))
                }
            }
        }
        return out
    }

    private static func pieces(of part: EnvironmentPart) -> [EnvironmentPart] {
        ["pyvenv.cfg", "bin", "include", "lib", "lib64"].map { EnvironmentPart("\(part.path)/\($0)", part.kind) }
            .filter { Files.exists($0.path) }
    }
}
