/// What a user points at: a version of a dataset, a run or a code snapshot, and a place inside it.
///
/// It is a reading of a text, not a resolution: nothing here says that the thing exists.
package enum Reference: Hashable, Sendable {
    /// `faces`, `team/faces@v3/train`.
    case dataset(name: String, selector: Selector, path: Path)
    /// `run:calm-otter/outputs/model`. `id` is a whole id, a part of one, a name, or `latest`.
    case run(id: String, path: Path)
    /// `code:trainer@2d/src`.
    case code(project: String, selector: Selector, path: Path)

    /// Components of a path inside the thing, as bytes; empty for the thing itself. Never `.` or `..`.
    package typealias Path = [[UInt8]]

    /// Which state of a dataset or project.
    package enum Selector: Hashable, Sendable {
        /// The newest, or the one `back` versions before it.
        case latest(back: Int)
        /// `v3`. Counts from 1.
        case version(Int)
        case tag(String)
        /// A time, day or age as written; `TimeExpression` reads it.
        case time(String)
        /// At least eight lowercase hexadecimal digits of a content digest.
        case digest(prefix: String)
        /// A view. In the path of a split the first component is the part, as in the mount.
        case view(String)
        /// Six or more characters at either end of a code snapshot's id; only after `code:`.
        case snapshot(String)

        /// The newest.
        package static let latest = Selector.latest(back: 0)
    }

    package var path: Path {
        switch self {
        case .dataset(_, _, let path), .run(_, let path), .code(_, _, let path): path
        }
    }

    /// The same thing with another place inside it.
    package func with(path: Path) -> Reference {
        switch self {
        case .dataset(let name, let selector, _): .dataset(name: name, selector: selector, path: path)
        case .run(let id, _): .run(id: id, path: path)
        case .code(let project, let selector, _): .code(project: project, selector: selector, path: path)
        }
    }
}

extension Reference {
    /// The canonical text as bytes: what `parse` reads back as the same reference where the dataset is known.
    /// `latest` is left out.
    package var bytes: [UInt8] {
        path.reduce(into: Array(root.utf8)) { $0 += [UInt8(ascii: "/")] + $1 }
    }

    /// The reference without its path.
    package var root: String {
        switch self {
        case .dataset(let name, let selector, _): name + selector.suffix
        case .run(let id, _): "run:" + id
        case .code(let project, let selector, _): "code:" + project + selector.suffix
        }
    }
}

extension Reference: CustomStringConvertible {
    /// For people: the canonical text, with control characters and bytes that are not UTF-8 escaped.
    package var description: String { NameText.display(bytes) }
}

extension Reference.Selector: CustomStringConvertible {
    /// What stands after the `@`.
    package var description: String {
        switch self {
        case .latest(let back): back == 0 ? "latest" : "latest~\(back)"
        case .version(let number): "v\(number)"
        case .tag(let name): name
        case .time(let text): text
        case .digest(let prefix): "sha256:" + prefix
        case .view(let name): "view:" + name
        case .snapshot(let id): id
        }
    }

    fileprivate var suffix: String { self == .latest ? "" : "@" + description }
}
