import DFSModel

/// A place as plain values, and back.
extension Place {
    var parts: (tag: UInt8, number: UInt64, texts: [[UInt8]]) {
        func texts(_ strings: String...) -> [[UInt8]] { strings.map { Array($0.utf8) } }
        return switch self {
        case .root: (0, 0, [])
        case .control: (1, 0, [])
        case .datasets: (2, 0, [])
        case .group(let name): (3, 0, texts(name))
        case .dataset(let name): (4, 0, texts(name))
        case .tags(let name): (5, 0, texts(name))
        case .datasetTimes(let name): (6, 0, texts(name))
        case .version(let name, let number): (7, UInt64(number), texts(name))
        case .code: (8, 0, [])
        case .project(let name): (9, 0, texts(name))
        case .projectTimes(let name): (10, 0, texts(name))
        case .snapshot(let name, let id): (11, 0, texts(name, id))
        case .runs: (12, 0, [])
        case .run(let id): (13, 0, texts(id.description))
        case .runData(let id): (14, 0, texts(id.description))
        case .data(let id, let key): (15, 0, texts(id.description, key))
        case .tree(let id, let tree): (16, 0, texts(id.description, tree.rawValue))
        case .below(let parent, let name): (17, UInt64(parent), [name])
        }
    }

    init?(tag: UInt8, number: UInt64, texts: [[UInt8]]) {
        func text(_ i: Int) -> String? { i < texts.count ? String(decoding: texts[i], as: UTF8.self) : nil }
        func run() -> RunID? { text(0).flatMap { RunID($0) } }
        let place: Place? =
            switch tag {
            case 0: .root
            case 1: .control
            case 2: .datasets
            case 3: text(0).map { .group($0) }
            case 4: text(0).map { .dataset($0) }
            case 5: text(0).map { .tags($0) }
            case 6: text(0).map { .datasetTimes($0) }
            case 7: text(0).map { .version($0, Int(clamping: number)) }
            case 8: .code
            case 9: text(0).map { .project($0) }
            case 10: text(0).map { .projectTimes($0) }
            case 11: text(0).flatMap { name in text(1).map { .snapshot(name, $0) } }
            case 12: .runs
            case 13: run().map { .run($0) }
            case 14: run().map { .runData($0) }
            case 15: run().flatMap { id in text(1).map { .data(id, key: $0) } }
            case 16: run().flatMap { id in text(1).flatMap(RunTree.init(rawValue:)).map { .tree(id, $0) } }
            case 17: texts.first.map { .below(UInt32(clamping: number), name: $0) }
            default: nil
            }
        guard let place else { return nil }
        self = place
    }
}
