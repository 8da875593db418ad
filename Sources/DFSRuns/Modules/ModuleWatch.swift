import DFSChunking
import DFSHistory
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// The Python modules that a job has opened: what they are, with digests, and copies of those that are recorded nowhere else.
///
/// `opened` is called by whoever sees a file opened. Files are read on a thread with little priority.
package final class ModuleWatch: Sendable {
    /// How the opens are seen.
    package enum Coverage: Sendable {
        /// The kernel tells of each.
        case opens
        /// Only extension modules are, as they are mapped; why.
        case maps(reason: String)
    }

    private struct State {
        var facts: [ModuleFile: JSONValue?] = [:]
        var root: OwnedDescriptor?
        var isStopped = false
        /// Something is being written to `scratch`.
        var isCopying = false
        var copiedBytes: UInt64 = 0
        var notCopied: [JSONValue] = []
        var copied = 0
        var lost: String?
        var coverage: Coverage
    }

    private let state: Mutex<State>
    private let catalogue: FileCatalogue
    private let cache: HostCache
    private let work = BackgroundWork<String>(capacity: 1 << 17)
    private let library: String?
    private let version: JSONValue?
    private let project: [String]
    /// Directories that are frozen as a whole.
    private let frozen: [String]
    private let folder: String
    /// Where copies are made before they appear in `folder`, in the same file system.
    private let scratch: String

    /// Of files that are copied: of one, and of all.
    private static let largest: UInt64 = 16 << 20, most: UInt64 = 256 << 20

    /// `python` is the host record's, with `~` for `home`. `folder` receives copies of modules from outside, which are made
    /// in `scratch`.
    package init(
        python: JSONValue?, home: String?, project: [String], folder: String, scratch: String, cacheDirectory: String?,
        catalogue: FileCatalogue, coverage: Coverage
    ) {
        func full(_ name: String) -> String? {
            guard let path = python?[name]?.string else { return nil }
            return EnvironmentParts.full(path, home)
        }
        let executable = full("executable")
        let installation = executable.flatMap { PythonInstallation(executable: $0) }
        library = installation.map { "\($0.basePrefix)/lib/\($0.library)" }
        frozen = executable.map { EnvironmentParts.of(executable: $0).map(\.path) } ?? []
        version = python?["version"]
        self.project = project
        self.folder = folder
        self.scratch = scratch
        self.catalogue = catalogue
        cache = HostCache(directory: cacheDirectory, hash: { Digest.of($0) })
        state = Mutex(State(coverage: coverage))
    }

    /// The root directory of the job's view, through which files are read, also when the job has ended.
    package func view(_ root: OwnedDescriptor) { state.withLock { $0.root = root } }

    /// Opens cannot be seen after all.
    package func fallBack(_ reason: String) { state.withLock { $0.coverage = .maps(reason: reason) } }

    /// Some opens were not seen.
    package func lose(_ reason: String) { state.withLock { $0.lost = reason } }

    /// A file was opened, at a path of the job's view.
    package func opened(_ path: String) {
        guard let module = ModuleFile(opened: path, library: library, project: project) else { return }
        let isNew = state.withLock { state in
            guard state.facts[module] == nil else { return false }
            state.facts[module] = .some(nil)
            return true
        }
        guard isNew else { return }
        work.add(module.path) { [self] in read(module) }
    }

    private func read(_ module: ModuleFile) {
        let (root, isStopped) = state.withLock { ($0.root, $0.isStopped) }
        guard !isStopped else { return }
        let opened = root.map { InView.open(module.path, $0) } ?? InView.open(host: Array(module.path.utf8))
        guard let file = opened, let status = try? FileStatus.of(file), status.kind == .file
        else { return set(module, Fact.unknown("it could not be opened")) }
        guard let facts = catalogue.read(file, module.path, stop: { self.state.withLock { $0.isStopped } }) else {
            return set(module, Fact.unknown("it changed while it was read"))
        }
        set(
            module, ["sha256": .string(facts.digest.text), "size_bytes": .integer(Int64(clamping: facts.size))])
        if module.origin == .outside, !frozen.contains(where: { module.path.hasPrefix($0 + "/") }) {
            copy(module.path, file, facts.size)
        }
    }

    private func set(_ module: ModuleFile, _ facts: JSONValue) { state.withLock { $0.facts[module] = .some(facts) } }

    // MARK: Copies

    private func copy(_ path: String, _ file: OwnedDescriptor, _ size: UInt64) {
        let (mayBegin, hasRoom) = state.withLock { state -> (Bool, Bool) in
            guard !state.isStopped else { return (false, false) }
            guard size <= Self.largest, state.copiedBytes + size <= Self.most else { return (true, false) }
            state.copiedBytes += size
            state.isCopying = true
            return (true, true)
        }
        var problem = mayBegin ? "it is larger than what is kept" : Self.late
        if hasRoom {
            defer { state.withLock { $0.isCopying = false } }
            do throws(DFSError) {
                if let secret = try SecretOmission.sentence(file, Array(path.utf8), size) {
                    throw DFSError(.refused, "\(path) is not copied", cause: secret)
                }
                return try keep(path, file, Int(size))
            } catch { problem = error.cause ?? error.what }
        }
        state.withLock { $0.notCopied.append(["path": .string(path), "reason": .string(problem)]) }
    }

    private static let late = "the run ended before it was copied"
    private static let step = 1 << 20

    /// In `folder` a copy appears as a whole, and none does when the run has ended: the folder is being recorded then.
    private func keep(_ path: String, _ file: OwnedDescriptor, _ size: Int) throws(DFSError) {
        let temporary = scratch + "/module-" + Randomness.hex(bytes: 8)
        let copy = try OwnedDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        defer { unlink(temporary) }
        var buffer = [UInt8](repeating: 0, count: min(size, Self.step)), done = 0
        while done < size {
            if state.withLock({ $0.isStopped }) { throw DFSError(.operational, Self.late) }
            let count = min(size - done, buffer.count)
            guard pread(file.raw, &buffer, count, off_t(done)) == count else {
                throw DFSError(.operational, "it could not be read as a whole")
            }
            try Files.write(Array(buffer[..<count]), to: copy.raw, what: temporary)
            done += count
        }
        let target = folder + path
        // Under the lock, so that nothing appears once `end` has begun.
        let problem = state.withLock { state -> DFSError? in
            guard !state.isStopped else { return DFSError(.operational, Self.late) }
            do throws(DFSError) {
                try Files.makeDirectories(Files.parent(target))
                try System.call("cannot rename \(temporary)") { rename(temporary, target) }
            } catch { return error }
            state.copied += 1
            return nil
        }
        if let problem { throw problem }
    }

    /// Copies the modules below a directory whose opens cannot be seen: of an editable install, of PYTHONPATH.
    package func take(all directory: String) {
        work.add(directory) { [self] in
            var left = 5000
            take(directory, &left)
        }
    }

    private func take(_ directory: String, _ left: inout Int) {
        for name in (try? DirectoryListing.names(of: directory)) ?? [] {
            let text = String(decoding: name, as: UTF8.self)
            let path = directory + "/" + text
            guard left > 0, !text.hasPrefix("."), let status = try? FileStatus.of(path: path) else { continue }
            switch status.kind {
            case .directory where text != "__pycache__" && text != "node_modules": take(path, &left)
            case .file where text.hasSuffix(".py"):
                left -= 1
                if let module = ModuleFile(opened: path, library: library, project: project), module.origin == .outside
                {
                    state.withLock { $0.facts[module] = .some(nil) }
                    read(module)
                }
            default: continue
            }
        }
    }

    // MARK: The end

    /// Waits at most `milliseconds` for what is being read, and lets go of the rest.
    package func end(milliseconds: Int) {
        let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        while !work.isIdle, Clock.monotonic() < deadline { usleep(2000) }
        state.withLock { state in
            state.isStopped = true
            state.root = nil
        }
        // The copy in progress sees that, unless the disk keeps it: then it fails when its place is gone.
        let last = Clock.monotonic() + Self.patience
        while state.withLock({ $0.isCopying }), Clock.monotonic() < last { usleep(2000) }
        catalogue.save()
    }

    /// Nanoseconds.
    private static let patience: UInt64 = 5_000_000_000

    package var count: Int { state.withLock { $0.facts.count } }

    /// What the record keeps: how many of what.
    package var summary: [String: JSONValue] {
        state.withLock { state in
            var members: [String: JSONValue] = ["count": .integer(Int64(state.facts.count))]
            if state.copied > 0 { members["copied"] = .integer(Int64(state.copied)) }
            switch state.coverage {
            case .opens: members["coverage"] = "opens"
            case .maps: members["coverage"] = "maps"
            }
            return members
        }
    }

    /// `dfs.modules/1` (docs/HOST.md).
    package var json: JSONValue {
        let (facts, coverage, notCopied) = state.withLock { ($0.facts, Self.sentence($0), $0.notCopied) }
        var groups = [String: [(String, JSONValue)]]()
        var heads = [String: [String: JSONValue]]()
        var owners = [String: DistributionOwners]()
        for (module, value) in facts {
            var head: [String: JSONValue]
            var key: String
            switch module.origin {
            case .installed(let site, let relative):
                if owners[site] == nil { owners[site] = DistributionOwners(site: site, cache: cache) }
                let owner = owners[site]?.owner(of: relative)
                key = "2 \(owner?.name ?? "") \(site)"
                head = [
                    "name": Fact.text(owner?.name, orUnknown: "no distribution lists it"), "kind": "distribution",
                    "site": .string(site), "version": Fact.text(owner?.version, orUnknown: "no metadata tells it"),
                ]
            case .standardLibrary:
                key = "1"
                head = ["kind": "standard library", "version": version ?? Fact.unknown("the host record has none")]
            case .project: (key, head) = ("0", ["kind": "project"])
            case .outside: (key, head) = ("3", ["kind": "outside"])
            }
            heads[key] = head
            groups[key, default: []].append((module.path, value ?? Fact.unknown("not read before the run ended")))
        }
        let list = groups.sorted { $0.key < $1.key }.map { key, files -> JSONValue in
            Self.group(heads[key] ?? [:], files.sorted { $0.0 < $1.0 })
        }
        var members: [String: JSONValue] = [
            "coverage": .string(coverage), "format": "dfs.modules/1",
            "groups": Fact.list(list, orNone: "no Python module was seen"),
        ]
        if !notCopied.isEmpty { members["not_copied"] = .array(notCopied) }
        return .object(members)
    }

    /// `digest`: SHA-256 of the lines `<hex>  <path>` of its files, in order, as sha256sum writes them.
    private static func group(_ head: [String: JSONValue], _ files: [(String, JSONValue)]) -> JSONValue {
        var members = head
        var lines = [UInt8]()
        for (path, facts) in files {
            lines += Array("\(facts["sha256"]?.digest?.hex ?? "unknown")  \(path)\n".utf8)
        }
        members["digest"] = .string(Digest.of(lines).text)
        members["files"] = .array(
            files.map { path, facts in
                facts["sha256"] != nil
                    ? facts.setting("path", .string(path)) : ["path": .string(path), "sha256": facts]
            })
        return .object(members)
    }

    private static func sentence(_ state: State) -> String {
        let text: String
        switch state.coverage {
        case .opens:
            text =
                "Every open of a file by the job's processes, as the kernel tells of it (fanotify), through all mounts of its "
                + "view but data's. A compiled module stands for its source. What was opened to be read otherwise counts too; "
                + "modules that the interpreter has built in are not files."
        case .maps(let reason):
            text =
                "Only extension modules, as they were mapped (see libraries.json): \(reason). Modules in Python are not seen. "
                + "Editable installs and PYTHONPATH were copied whole."
        }
        return state.lost.map { "\(text) Some opens were lost: \($0)." } ?? text
    }
}
