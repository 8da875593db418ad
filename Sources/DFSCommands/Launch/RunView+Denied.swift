import DFSLaunch
import DFSLedger
import DFSVirtual

/// What is denied to a run is shown by its FUSE server, which refuses it, wherever something else would show it.
extension RunView {
    var deniedSteps: [EnterPlan.Step] {
        guard let history, !denials.isEmpty else { return [] }
        return plan.inputs.flatMap { covers(of: $0, history) } + hostCovers
    }

    /// Root passes permission bits, but not a directory that another file system stands over.
    private func covers(of input: DataInput, _ history: String) -> [EnterPlan.Step] {
        let version = RawPath("\(history)/datasets/\(input.dataset)/v\(input.version.number)")
        let places = [dataDirectory + "/" + input.key] + [input.path].compactMap { $0 }
        return serving.denied(input.key).flatMap { path -> [EnterPlan.Step] in
            let inside = Array(path.joined(separator: [0x2f]))
            return places.map { .bind(source: version.appending(inside), at: RawPath($0).appending(inside), .readOnly) }
        }
    }
}
