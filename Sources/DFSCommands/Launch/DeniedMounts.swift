import DFSFuse
import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSVirtual

/// Mounts of the store that the host has already, and that would show a run what it is denied: its own view stands over them,
/// or over what in them is denied, by place or by content.
struct DeniedMounts {
    let repository: Repository
    let state: LedgerState
    let denials: Denials
    /// Where the run's server shows the store.
    let history: String

    func steps() -> [EnterPlan.Step] {
        let mounts = (try? DFSFuse.MountTable.mounts()) ?? []
        let own = DFSFuse.MountTable.canonical(history)
        return mounts.enumerated().flatMap { i, mount -> [EnterPlan.Step] in
            let isHidden = mounts[(i + 1)...].contains { mount.mountpoint.hasPrefix($0.mountpoint + "/") }
            guard !isHidden, mount.mountpoint != own else { return [] }
            if mount.isOurs, mount.fsname == "dfs:" + repository.root { return [cover(RawPath(history), mount)] }
            return SealedMounts.isSealed(mount) ? sealed(mount) : []
        }
    }

    private func cover(_ source: RawPath, _ mount: DFSFuse.MountTable.Mount) -> EnterPlan.Step {
        .bind(source: source, at: RawPath(mount.mountpoint), .readOnly)
    }

    // MARK: Sealed views

    /// A tree that the store has, and where the server shows it.
    private struct Shown {
        let root: TreeEntry
        let version: (dataset: String, number: Int)?
        let source: RawPath
    }

    private func sealed(_ mount: DFSFuse.MountTable.Mount) -> [EnterPlan.Step] {
        guard let shown = shown(at: mount.mountpoint) else {
            // Nothing is known of what it shows. Another store's is no business of this run.
            return mount.fsname.contains("/\(repository.id)/views/") ? [coverOfUnknown(mount)].compactMap { $0 } : []
        }
        guard shown.root.files <= DataServingChoice.searched,
            let places = try? denials.places(in: shown.root, version: shown.version, reader: repository.reader),
            places.allSatisfy({ $0.isDirectory && !$0.path.isEmpty })
        else { return [cover(shown.source, mount)] }
        return places.map { place in
            let inside = Array(place.path.joined(separator: [0x2f]))
            return .bind(
                source: shown.source.appending(inside), at: RawPath(mount.mountpoint).appending(inside), .readOnly)
        }
    }

    /// What the root of a sealed view says that it is: which version, and the digest of what is in it.
    private func shown(at mountpoint: String) -> Shown? {
        func attribute(_ name: String) -> String? {
            ((try? ExtendedAttributes.get(name, of: mountpoint)) ?? nil).map { String(decoding: $0, as: UTF8.self) }
        }
        guard let content = attribute("user.dfs.digest").flatMap({ Digest(text: $0) }) else { return nil }
        if let dataset = attribute("user.dfs.dataset"),
            let number = attribute("user.dfs.version").flatMap({ Int($0.dropFirst()) }),
            let version = state.datasets[dataset]?.version(number), version.content.digest == content,
            state.datasets[dataset]?.removal(of: number) == nil
        {
            return Shown(
                root: .root(version.tree, modified: version.time), version: (dataset, number),
                source: RawPath("\(history)/datasets/\(dataset)/v\(number)"))
        }
        let id = String(content.hex.prefix(16))
        for (name, project) in state.projects {
            guard let snapshot = project.snapshot(id), snapshot.content.digest == content else { continue }
            return Shown(
                root: .root(snapshot.tree, modified: snapshot.time), version: nil,
                source: RawPath("\(history)/code/\(name)/\(snapshot.id)"))
        }
        return nil
    }

    /// Something denied in place of what may hold it.
    private func coverOfUnknown(_ mount: DFSFuse.MountTable.Mount) -> EnterPlan.Step? {
        denials.rules.first.map { rule in
            let version = RawPath("\(history)/datasets/\(rule.dataset)/v\(rule.version)")
            let inside = Array(rule.path.joined(separator: [0x2f]))
            return cover(rule.isDirectory && !inside.isEmpty ? version.appending(inside) : version, mount)
        }
    }
}
