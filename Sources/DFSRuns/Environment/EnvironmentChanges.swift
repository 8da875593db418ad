import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// Tells which files of an environment are perhaps not those that the run had.
struct EnvironmentChanges {
    let repository: Repository
    let run: RunID
    let began: Timestamp

    /// Those whose status (ctime) is younger than the run, and those that are not what the run is known to have read. Of a library
    /// that was mapped the digest decides: compilers make some while a program runs. That of a module does not, as it was taken
    /// some time after the module was read. Paths are relative to `/`.
    func find(in roots: [String], filter: EnvironmentFilter) -> [[UInt8]: String] {
        var found = [[UInt8]: String]()
        for root in roots {
            EnvironmentWalk.files(of: root, filter: filter) { path, status in
                if status.changed >= began { found[path] = "it has changed since the run began" }
                return true
            }
        }
        // What the watchers of the run keep of files, for all stores.
        let catalogue = FileCatalogue(directory: Files.parent(repository.cacheDirectory) + "/host")
        let single = Set(roots.map { Array($0.utf8) })
        for (path, digest) in seen() {
            let relative = Array(path.dropFirst()), isDoubted = found[relative] != nil
            guard !isDoubted || single.contains(path), filter.includes(relative, isDirectory: false),
                let now = Self.digest(of: path, catalogue, isDoubted ? Self.dear : Self.cheap)
            else { continue }
            found[relative] = now == digest ? nil : "the run read another file there"
        }
        return found
    }

    // MARK: What the run has read

    /// Absolute paths of the job's view with digests, as far as the evidence has them by now.
    private func seen() -> [[UInt8]: Digest] {
        var seen = [[UInt8]: Digest]()
        for file in (evidence("modules.json")?["groups"]?.array ?? []).flatMap({ $0["files"]?.array ?? [] })
            + (evidence("libraries.json")?["libraries"]?.array ?? [])
        {
            guard let path = file["path"]?.string, let digest = file["sha256"]?.digest else { continue }
            seen[NameText.decode(path) ?? Array(path.utf8)] = digest
        }
        return seen
    }

    /// Of the run in progress, or of its record.
    private func evidence(_ name: String) -> JSONValue? {
        let live = LiveRun(storeRoot: repository.root, run: run).evidence + "/" + name
        if let bytes = try? Files.readRegular(live, limit: Self.largest) { return try? JSONValue.parse(bytes) }
        guard let end = try? repository.state().run(run)?.end, let tree = end.evidence,
            let entry = try? repository.reader.entry(
                at: [Array(name.utf8)], below: .root(tree, modified: end.time)),
            let bytes = try? repository.reader.bytes(of: entry, limit: Self.largest)
        else { return nil }
        return try? JSONValue.parse(bytes)
    }

    private static let largest = 1 << 28

    /// Larger files are not read only to be compared: what is doubted, and what is not.
    private static let dear: UInt64 = 1 << 30, cheap: UInt64 = 4 << 20

    private static func digest(of path: [UInt8], _ catalogue: FileCatalogue, _ limit: UInt64) -> Digest? {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        guard let file = try? OwnedDescriptor.open(bytes: path, flags, at: AT_FDCWD),
            let status = try? FileStatus.of(file), status.kind == .file
        else { return nil }
        let name = NameText.encode(path)
        if let known = catalogue.known(name, status) { return known.digest }
        return status.size <= limit ? catalogue.read(file, name, stop: { false })?.digest : nil
    }
}
