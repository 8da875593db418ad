import DFSModel
import DFSRuns

extension DriftClass {
    var role: Style.Role {
        switch self {
        case .identical: .good
        case .sameNumerics: .plain
        case .crossNumerics: .warning
        case .incompatible: .bad
        }
    }

    /// Reads a class that was given as `origin`, which is an option or a place in a file.
    static func named(_ name: String, in origin: String) throws(DFSError) -> DriftClass {
        if let found = DriftClass(rawValue: name) { return found }
        let near = Suggestion.nearest(to: name, among: allCases.map(\.rawValue)).map { "did you mean \($0)? " } ?? ""
        throw DFSError(
            .usage, "\(origin) \(name) is no class of drift",
            cause: near + "there are " + allCases.map(\.rawValue).joined(separator: ", "),
            hint: "dfs-run --require \(DriftClass.sameNumerics.rawValue) …")
    }
}
