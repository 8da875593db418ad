import DFSLedger
import DFSModel

/// Sets and removes tags.
package struct Tagging {
    package let repository: Repository

    package init(repository: Repository) { self.repository = repository }

    /// Puts `tag` on a version. A tag that stands elsewhere moves only with `move`.
    package func set(
        _ tag: String, dataset: String, version: Int, move: Bool, by signer: any Signer
    ) throws(DFSError) {
        if let problem = TagName.problem(tag) {
            throw DFSError(.usage, "\(tag) cannot be a tag", cause: problem, hint: "dfs tag --help")
        }
        try repository.append(by: signer) { state throws(DFSError) in
            guard let known = state.datasets[dataset], known.version(version) != nil else {
                throw DFSError(.noReference, "there is no \(dataset)@v\(version)", hint: "dfs log \(dataset)")
            }
            guard known.removal(of: version) == nil else {
                throw DFSError(
                    .noReference, "\(dataset)@v\(version) was removed", hint: "dfs show \(dataset)@v\(version)")
            }
            let standing = known.version(tag: tag)?.number
            if standing == version { return nil }
            if let standing, !move {
                throw DFSError(
                    .refused, "tag \(tag) stands on \(dataset) v\(standing)", cause: "tags move only when told to",
                    hint: "dfs tag \(dataset)@v\(version) \(tag) --move")
            }
            return [
                .tagSet(
                    .init(tag: tag, target: .version(dataset: dataset, number: version), moved: standing != nil))
            ]
        }
    }

    package func set(_ tag: String, run: RunID, by signer: any Signer) throws(DFSError) {
        if let problem = TagName.problem(tag) {
            throw DFSError(.usage, "\(tag) cannot be a tag", cause: problem, hint: "dfs tag --help")
        }
        try repository.append(by: signer) { state throws(DFSError) in
            guard let known = state.run(run) else {
                throw DFSError(.noReference, "there is no run \(run)", hint: "dfs runs")
            }
            return known.tags.contains(tag) ? nil : [.tagSet(.init(tag: tag, target: .run(run), moved: false))]
        }
    }

    package func remove(_ tag: String, dataset: String, by signer: any Signer) throws(DFSError) {
        try repository.append(by: signer) { state throws(DFSError) in
            guard state.datasets[dataset]?.version(tag: tag) != nil else {
                throw DFSError(.noReference, "\(dataset) has no tag \(tag)", hint: "dfs log \(dataset)")
            }
            return [.tagRemoved(.init(tag: tag, holder: .dataset(dataset)))]
        }
    }

    package func remove(_ tag: String, run: RunID, by signer: any Signer) throws(DFSError) {
        try repository.append(by: signer) { state throws(DFSError) in
            guard state.run(run)?.tags.contains(tag) == true else {
                throw DFSError(.noReference, "run \(run) has no tag \(tag)", hint: "dfs show run:\(run)")
            }
            return [.tagRemoved(.init(tag: tag, holder: .run(run)))]
        }
    }
}
