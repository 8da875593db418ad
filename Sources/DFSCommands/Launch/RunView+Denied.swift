import DFSFuse
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSVirtual

/// What is denied to a run is shown by its FUSE server, which refuses it, wherever something else would show it.
extension RunView {
    var deniedSteps: [EnterPlan.Step] {
        guard let history, !denials.isEmpty else { return [] }
        return plan.inputs.flatMap { covers(of: $0, history) } + hostMounts(history)
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

    /// Mounts of this store that the host has already: its own view stands over them.
    private func hostMounts(_ history: String) -> [EnterPlan.Step] {
        let mounts = (try? MountTable.mounts()) ?? []
        let own = MountTable.canonical(history), store = Files.parent(Files.parent(live.root))
        return mounts.enumerated().flatMap { i, mount -> [EnterPlan.Step] in
            let isHidden = mounts[(i + 1)...].contains { mount.mountpoint.hasPrefix($0.mountpoint + "/") }
            guard !isHidden, mount.mountpoint != own else { return [] }
            if mount.isOurs, mount.fsname == "dfs:" + store {
                return [.bind(source: RawPath(history), at: RawPath(mount.mountpoint), .readOnly)]
            }
            return SealedMounts.isSealed(mount) ? sealedSteps(mount.mountpoint, history) : []
        }
    }

    /// A sealed view says itself which version it is.
    private func sealedSteps(_ mountpoint: String, _ history: String) -> [EnterPlan.Step] {
        func attribute(_ name: String) -> String? {
            ((try? ExtendedAttributes.get(name, of: mountpoint)) ?? nil).map { String(decoding: $0, as: UTF8.self) }
        }
        guard let dataset = attribute("user.dfs.dataset"), let version = attribute("user.dfs.version") else {
            return []
        }
        let rules = denials.rules.filter { $0.dataset == dataset && (!$0.path.isEmpty || "v\($0.version)" == version) }
        let place = RawPath("\(history)/datasets/\(dataset)/\(version)")
        if rules.contains(where: { $0.path.isEmpty || !$0.isDirectory }) {
            return [.bind(source: place, at: RawPath(mountpoint), .readOnly)]
        }
        return rules.compactMap { rule in
            let inside = Array(rule.path.joined(separator: [0x2f]))
            let at = RawPath(mountpoint).appending(inside)
            guard let status = try? FileStatus.of(at.bytes, at: -100), status.kind == .directory else { return nil }
            return .bind(source: place.appending(inside), at: at, .readOnly)
        }
    }
}
