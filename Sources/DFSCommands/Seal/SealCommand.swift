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
    let allowOther: Bool

    func run() throws(DFSError) -> ExitCode {
        if let obstacle = SealedMounts.obstacle(cache: try context.directories.cache()) { throw obstacle }
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
        let subject = try subject(of: target, rootMask: allowOther ? 0o700 | Serve.rootMode(repository.root) : 0o700)
        let mounts = try context.sealedMounts(repository)
        let view = try mounts.views.prepare(subject, shownBy: context.progress, as: target.resolved.text)
        let attachment = try mounts.attach(view, sequence: state.head.sequence, linger: 0)
        defer { withExtendedLifetime(attachment) {} }
        let base = attachment.base
        // First, so that whoever dies in between leaves nothing that `dfs umount` does not know.
        try registry.addSealed(mountpoint, store: repository.root, base: base)
        do throws(DFSError) {
            try System.call("cannot bind the view at \(mountpoint)", fault: "mount") {
                clinux_bind_mount(base, mountpoint)
            }
        } catch {
            registry.remove(mountpoint)
            throw error
        }
        try context.output.report(SealReport(mountpoint: mountpoint, store: repository.root, manifest: view.manifest))
        return .done
    }

    private func subject(of target: Target, rootMask: UInt16) throws(DFSError) -> ViewSubject {
        if let subject = ViewSubject(target, rootMask: rootMask) { return subject }
        throw DFSError(
            .usage, "only a whole version or snapshot can be sealed", cause: "\(target.resolved.text) is none",
            hint: "dfs mount --seal NAME@v1 PATH")
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
