import DFSModel

/// A directory that the virtual tree makes up, or the root of a tree at its place.
enum Place: Hashable, Sendable {
    case root, control
    case datasets
    /// The first component of datasets with two.
    case group(String)
    case dataset(String), tags(String), datasetTimes(String)
    case version(String, Int)
    case code, project(String), projectTimes(String)
    case snapshot(String, String)
    case runs, run(RunID), runData(RunID)
    case data(RunID, key: String)
    case tree(RunID, RunTree)
    /// A directory that was first seen while its run was live; it keeps its number when the run is sealed.
    case below(UInt32, name: [UInt8])

    /// The directory that holds it; `nil` for the root and for `.below`, which carries a number.
    var parent: Place? {
        switch self {
        case .root, .below: nil
        case .control, .datasets, .code, .runs: .root
        case .group: .datasets
        case .dataset(let name):
            if let slash = name.firstIndex(of: "/") { .group(String(name[..<slash])) } else { .datasets }
        case .tags(let name), .datasetTimes(let name), .version(let name, _): .dataset(name)
        case .project: .code
        case .projectTimes(let name), .snapshot(let name, _): .project(name)
        case .run: .runs
        case .runData(let id), .tree(let id, _): .run(id)
        case .data(let id, _): .runData(id)
        }
    }

    /// Whether its names change when history grows, whatever it holds now.
    var isWatched: Bool {
        switch self {
        case .datasets, .group, .dataset, .tags, .code, .project, .runs: true
        default: false
        }
    }

    /// Whether it is the root of a stored tree, or of a live run's directory.
    var isTree: Bool {
        switch self {
        case .version, .snapshot, .data, .tree, .below: true
        default: false
        }
    }
}

/// The trees of a run.
enum RunTree: String, Hashable, Sendable, CaseIterable {
    case code, outputs, work, logs, evidence, env
}
