import DFSModel
import DFSSystem
import Glibc

/// Where a run in progress writes: `live/<run-id>/` of the store.
///
/// The job writes there directly, so what reached the kernel outlives the launcher and the job.
package struct LiveRun: Sendable {
    package let run: RunID
    package let storeRoot: String
    package let root: String

    package init(storeRoot: String, run: RunID) {
        self.run = run
        self.storeRoot = storeRoot
        root = storeRoot + "/live/" + run.description
    }

    package var outputs: String { root + "/outputs" }
    package var logs: String { root + "/logs" }
    /// What those that watch the run see, as they see it.
    package var evidence: String { root + "/evidence" }
    package var standardOutput: String { logs + "/stdout" }
    package var standardError: String { logs + "/stderr" }
    package var metrics: String { logs + "/metrics.jsonl" }
    /// The writable layer over the project's directory.
    package var layer: String { root + "/layer" }
    /// What the job writes into its working directory: the upper part of the layer, or a copy of the code.
    package var work: String { layer + "/upper" }
    /// Copies that stand in for mounts; not recorded.
    package var scratch: String { root + "/scratch" }
    /// The writable layer over one of the further roots of code; not recorded.
    package func rootLayer(_ number: Int) -> String { scratch + "/roots/\(number)" }
    /// A copy of such a root, where there can be no layer.
    package func rootCopy(_ number: Int) -> String { scratch + "/copies/\(number)" }
    package var journal: String { root + "/journal.json" }

    /// Makes the folders. Private to the user: outputs are shared only once they are recorded.
    package func make() throws(DFSError) {
        try Files.makeDirectories(Files.parent(root))
        try System.call("cannot make \(root)", fault: "mkdir") { mkdir(root, 0o700) }
        for folder in [outputs, logs, evidence, layer, work, scratch] {
            try System.call("cannot make \(folder)", fault: "mkdir") { mkdir(folder, 0o755) }
        }
        for file in [standardOutput, standardError, metrics] {
            _ = try OwnedDescriptor.open(file, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
        }
        try Files.synchronizeDirectory(Files.parent(root))
    }

    /// All runs that have a folder under `live/`.
    package static func all(storeRoot: String) throws(DFSError) -> [LiveRun] {
        let folder = storeRoot + "/live"
        guard Files.isDirectory(folder) else { return [] }
        return try DirectoryListing.names(of: folder).compactMap { name in
            RunID(NameText.encode(name)).map { LiveRun(storeRoot: storeRoot, run: $0) }
        }
    }

    /// Whether the folder is there and this user's. In a shared store others can make names under `live/` too, links
    /// among them.
    package var isOwn: Bool {
        guard let status = try? FileStatus.of(path: root) else { return false }
        return status.kind == .directory && status.uid == geteuid()
    }

    /// A file of the evidence, in place of what was there in one step.
    package func writeEvidence(_ name: String, _ value: JSONValue) throws(DFSError) {
        let temporary = scratch + "/" + name
        let file = try OwnedDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try Files.write(value.canonicalBytes, to: file.raw, what: temporary)
        try System.call("cannot rename \(temporary)") { rename(temporary, evidence + "/" + name) }
    }

    package func writeJournal(_ journal: JSONValue) throws(DFSError) {
        let file = try DurableFile(temporaryDirectory: root, mode: 0o644)
        try file.append(journal.canonicalBytes)
        try file.replace(self.journal)
    }

    package func readJournal() throws(DFSError) -> JSONValue? {
        guard let bytes = try Files.readRegular(journal, limit: 1 << 24) else { return nil }
        return try JSONValue.parse(bytes)
    }

    /// Removes the folder once its content is recorded. The journal goes last: without it nobody would know that what is
    /// left may go.
    package func remove() throws(DFSError) {
        // Held open, so that what is removed is below this folder, whatever takes its name meanwhile.
        let folder = try Beneath.directory([Array(run.description.utf8)], below: Files.parent(root))
        let place = "/proc/self/fd/\(folder.raw)"
        chmod(place, 0o700)
        for path in [outputs, logs, evidence, layer, scratch] {
            try Files.removeTree(place + path.dropFirst(root.count))
        }
        try Files.removeTree(root)
    }
}
