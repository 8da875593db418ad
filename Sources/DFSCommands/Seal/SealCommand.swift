import CLinux
import DFSFuse
import DFSHistory
import DFSLedger
import DFSModel
import DFSSealedView
import DFSSystem
import Glibc

/// `dfs mount --seal REF PATH`: one version as a file system that the kernel serves by itself.
struct SealCommand {
    let context: CommandContext
    let reference: String
    let path: String?

    func run() throws(DFSError) -> ExitCode {
        if let obstacle = SealedMounts.obstacle() { throw obstacle }
        guard let path else {
            throw DFSError(
                .usage, "a sealed view needs a directory to be mounted on", hint: "dfs mount --seal \(reference) PATH")
        }
        let mountpoint = try context.mountpoint(path)
        let registry = try context.mountRegistry()
        try MountClearing(mountpoint: mountpoint, registry: registry).clearDead()
        let repository = try context.repository()
        try Mountpoint.check(mountpoint, fsname: "")
        let state = try repository.state()
        let target = try context.resolve(
            reference, Resolver(repository: repository, state: state, now: context.clock()))
        let subject = try subject(of: target)
        let mounts = try context.sealedMounts(repository)
        let view = try prepare(subject, mounts.views)
        let base = try mounts.attach(view, sequence: state.head.sequence, linger: 0)
        try System.call("cannot bind the view at \(mountpoint)", fault: "mount") {
            clinux_bind_mount(base, mountpoint)
        }
        try registry.addSealed(mountpoint, store: repository.root, base: base)
        try context.output.report(SealReport(mountpoint: mountpoint, store: repository.root, manifest: view.manifest))
        return .done
    }

    private func prepare(_ subject: ViewSubject, _ views: SealedViews) throws(DFSError) -> SealedView {
        try context.progress.track("seal \(reference)") { activity throws(DFSError) in
            activity.expectedFiles.increment(by: Int(clamping: subject.tree.files))
            return try views.prepare(
                subject,
                progress: .init(
                    entries: activity.files, checkedBytes: activity.bytes, expectedBytes: activity.expectedBytes))
        }
    }

    private static func isWhole(_ reference: Reference) -> Bool {
        switch reference {
        case .dataset(_, _, let path), .code(_, _, let path), .run(_, let path): path.isEmpty
        }
    }

    private func subject(of target: Target) throws(DFSError) -> ViewSubject {
        guard Self.isWhole(target.reference) else {
            throw DFSError(
                .usage, "only a whole version can be sealed", cause: "\(reference) is a part of one",
                hint: "dfs mount --seal \(reference.prefix { $0 != "/" }) PATH")
        }
        switch target.resolved.subject {
        case .version(let dataset, let version): return ViewSubject(version, of: dataset)
        case .snapshot(_, let snapshot): return ViewSubject(tree: snapshot.tree, modified: snapshot.time)
        case .run:
            throw DFSError(
                .usage, "a run cannot be sealed", cause: "it is made of several trees", hint: "dfs mount")
        }
    }
}

private struct SealReport: Report {
    static let schema = "dfs.seal/1"
    let mountpoint: String
    let store: String
    let manifest: ViewManifest

    var json: [String: JSONValue] {
        [
            "mountpoint": .string(mountpoint), "store": .string(store), "serve": "sealed",
            "files": .integer(Int64(manifest.files)), "packs": .integer(Int64(manifest.deviceCount)),
            "mapped_bytes": .integer(Int64(manifest.mappedBytes)),
            "copied_bytes": .integer(Int64(manifest.copiedBytes)),
            "inline_bytes": .integer(Int64(manifest.inlineBytes)),
            "image_bytes": .integer(Int64(manifest.imageBytes)),
        ]
    }

    func print(to output: Output) throws(DFSError) { try output.line(mountpoint) }
}
