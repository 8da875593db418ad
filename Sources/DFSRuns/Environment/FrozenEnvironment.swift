import CLinux
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import Glibc

/// The environment that was recorded of a run, to be compared with this machine and put back where it was.
package struct FrozenEnvironment: Sendable {
    private let repository: Repository
    package let run: RunID
    package let tree: TreeReference
    /// `dfs.environment/1`.
    package let record: JSONValue
    private let modified: Timestamp
    private let parts: [Part]
    /// `glibc 2.36`, as the run's host record has it.
    private let libc: String?

    /// A part, and where it is in the tree.
    package struct Part: Sendable, Hashable {
        package let part: EnvironmentPart
        /// Absolute, free of symlinks.
        package let at: String
    }

    /// Why a run has no environment that could be used.
    package enum Absence: Sendable, Equatable {
        /// Nothing was recorded, for this reason if the record has one.
        case notFrozen(reason: String?)
        /// A process of this host is at it.
        case beingFrozen
    }

    package enum Found: Sendable {
        case environment(FrozenEnvironment)
        case absent(Absence)
    }

    package static func of(_ run: RunRecord, _ repository: Repository) throws(DFSError) -> Found {
        let notes = run.annotations.filter { $0.name == RunAnnotation.environment }
        if let note = notes.first(where: { $0.tree != nil }), let tree = note.tree {
            let record = try repository.objects.json(note.record.record, what: "the environment of run \(run.id)")
            let host = try? RunDocuments(repository: repository).host(of: run)
            return .environment(
                FrozenEnvironment(
                    repository, run.id, tree, record, modified: note.time, libc: host?["stable"]?["libc"]?.string))
        }
        if let note = notes.last {
            let record = try repository.objects.json(note.record.record, what: "the environment of run \(run.id)")
            let missing = (record["parts"]?.array ?? []).compactMap { $0["missing"]?.string }.first
            return .absent(.notFrozen(reason: record["failure"]?.string ?? missing))
        }
        return .absent(try absence(of: run, repository))
    }

    private static func absence(of run: RunRecord, _ repository: Repository) throws(DFSError) -> Absence {
        guard let end = run.end else { return .beingFrozen }
        let result = try repository.objects.json(end.record.record, what: "the result of run \(run.id)")
        guard let said = result["environment"] else { return .notFrozen(reason: nil) }
        if let process = said["freezing"] {
            let isAlive = LocalProcess(json: process)?.isAlive
            return isAlive == true
                ? .beingFrozen : .notFrozen(reason: "nothing of Python was found, or the freeze was killed")
        }
        return .notFrozen(reason: (said["none"] ?? said["unknown"])?.string)
    }

    private init(
        _ repository: Repository, _ run: RunID, _ tree: TreeReference, _ record: JSONValue, modified: Timestamp,
        libc: String?
    ) {
        self.repository = repository
        self.run = run
        self.tree = tree
        self.record = record
        self.modified = modified
        self.libc = libc
        parts = (record["parts"]?.array ?? []).compactMap { json in
            guard let path = json["path"]?.string, json["missing"] == nil,
                let kind = json["kind"]?.string.flatMap({ EnvironmentPart.Kind(rawValue: $0) })
            else { return nil }
            return Part(part: EnvironmentPart(path, kind), at: json["at"]?.string ?? path)
        }
    }

    /// What the record lacks, or may have otherwise than the run had it.
    package struct Gap: Sendable {
        package let path: String
        package let reason: String
        package let isLibrary: Bool
    }

    package var gaps: [Gap] {
        let missing = (record["parts"]?.array ?? []).compactMap { part in
            part["missing"]?.string.map { reason in
                Gap(
                    path: part["path"]?.string ?? "", reason: reason,
                    isLibrary: part["kind"]?.string == EnvironmentPart.Kind.library.rawValue)
            }
        }
        let files = ["changed", "unread"].flatMap { record[$0]?["files"]?.array ?? [] }.map { file in
            let path = file["path"]?.string ?? ""
            let isLibrary = parts.contains { $0.at == path && $0.part.kind == .library }
            return Gap(path: path, reason: file["reason"]?.string ?? "", isLibrary: isLibrary)
        }
        return missing + files
    }

    package var isComplete: Bool { record["complete"]?.bool == true }

    // MARK: Comparing

    /// The parts that this machine does not have as they were. Reads only files that have changed since they were frozen here.
    package func differing(threads: Int = 1) throws(DFSError) -> [Part] {
        // What was left out of the tree is no difference.
        let files = ["secrets", "unread"].flatMap { record[$0]?["files"]?.array ?? [] }.compactMap {
            $0["path"]?.string
        }
        let leftOut =
            (record["left_out"]?.array ?? []).compactMap(\.string)
            + files.map { String(decoding: NameText.decode($0) ?? Array($0.utf8), as: UTF8.self) }
        let filter = EnvironmentFilter(paths: parts.map(\.at), leftOut: leftOut)
        let comparison = SourceComparison(
            reader: repository.reader, cache: try cache(), filter: filter, threads: threads)
        let changes = try comparison.run("/", against: .root(tree, modified: modified)).changes
        let changed = changes.map { "/" + NameText.encode($0.path) }
        return parts.filter { part in
            // A directory above it that is not there takes it along.
            changed.contains { $0 == part.at || $0.hasPrefix(part.at + "/") || part.at.hasPrefix($0 + "/") }
                || Files.resolved(part.part.path) != part.at
        }
    }

    /// What this host knows of the files, if it has frozen the same parts.
    private func cache() throws(DFSError) -> StatCache? {
        let scope = Freeze.scope(parts.map(\.part).filter { $0.kind != .library })
        let state = try repository.state()
        guard let latest = FreezeGround.latest(repository, scope, in: state) else { return nil }
        return try repository.statCache(scope: scope, latest: latest.record, in: state)
    }

    // MARK: Putting it back

    /// What has to be mounted so that a run finds the bytes it had.
    package struct Plan: Sendable {
        /// A file or directory of the tree and where it goes; directories come before what may lie in them.
        package struct Mount: Sendable {
            package let entry: TreeEntry
            /// Where it is in the tree.
            package let place: [UInt8]
            package let target: String
        }

        package fileprivate(set) var mounts: [Mount] = []
        /// What stays as this machine has it though it differs, and why.
        package fileprivate(set) var kept: [Kept] = []

        package struct Kept: Sendable {
            package let path: String
            package let reason: String
            /// Not of Python, by whose facts hosts are compared.
            let isLibrary: Bool
        }

        fileprivate mutating func keep(_ part: Part, _ reason: String) {
            kept.append(Kept(path: part.at, reason: reason, isLibrary: part.part.kind == .library))
        }

        /// Whether some of Python stays as it is here.
        package var keepsPython: Bool { kept.contains { !$0.isLibrary } }

        /// For the record of the run that uses it.
        package var json: JSONValue {
            [
                "kept": .array(kept.map { ["path": .string($0.path), "reason": .string($0.reason)] }),
                "mounted": .array(
                    mounts.map {
                        ["content": .string($0.entry.content.digest.text), "path": .string($0.target)]
                    }),
            ]
        }
    }

    /// `bounds`: over which places nothing is put. `here`: this machine's C library, as a host record names it.
    package func plan(
        within bounds: EnvironmentBounds = EnvironmentBounds(), here libcHere: String? = SystemFacts.libc.string,
        threads: Int = 1
    ) throws(DFSError) -> Plan {
        let differing = try differing(threads: threads)
        var plan = Plan()
        let isLibc = { (part: Part) in
            part.part.kind == .library && SystemLibraries.isOfLibc(PythonFinder.name(part.at))
        }
        for part in differing where !isLibc(part) {
            if part.part.kind == .library, SystemLibraries.isOfDriver(part.at) {
                plan.keep(part, "it belongs to the GPU driver of this machine")
                continue
            }
            try add(part, within: bounds, to: &plan)
        }
        let family = differing.filter(isLibc)
        if !family.isEmpty {
            if let reason = obstacle(to: family, libcHere) {
                for part in family { plan.keep(part, reason) }
            } else {
                // All of it or nothing, also what is the same.
                for part in parts.filter(isLibc) { try add(part, within: bounds, to: &plan) }
            }
        }
        plan.mounts.sort { a, b in
            a.entry.kind == .directory && b.entry.kind == .directory
                ? a.target < b.target : a.entry.kind == .directory && b.entry.kind != .directory
        }
        return plan
    }

    /// Why the run's C library does not replace this machine's, which other programs of the machine use in the run.
    private func obstacle(to family: [Part], _ here: String?) -> String? {
        guard let then = SystemLibraries.version(libc), let now = SystemLibraries.version(here) else {
            return "the versions of the C libraries are not known"
        }
        if then.lexicographicallyPrecedes(now) {
            return
                "this machine's programs need its own C library (\(here ?? "")), which is newer than the run's (\(libc ?? ""))"
        }
        let folders = Set(family.map { Files.parent($0.at) })
        if let folder = folders.first(where: { !Files.exists($0 + "/libc.so.6") }) {
            return "this machine has its C library elsewhere than in \(folder)"
        }
        return nil
    }

    private func add(_ part: Part, within bounds: EnvironmentBounds, to plan: inout Plan) throws(DFSError) {
        switch bounds.verdict(part.at) {
        case .free: break
        case .recorded(let name): return plan.keep(part, "it belongs to the \(name) of the run")
        case .refused(let reason): return plan.keep(part, reason)
        }
        let path = part.at.utf8.split(separator: 0x2f).map { Array($0) }
        guard let entry = try repository.reader.entry(at: path, below: .root(tree, modified: modified)) else {
            return plan.keep(part, "the record of the environment does not have it")
        }
        var targets = [part.at]
        // A link that the code has leads there.
        if part.at != part.part.path, bounds.verdict(part.part.path) == .free { targets.append(part.part.path) }
        if part.part.kind == .library, let link = soname(of: entry) {
            // The loader goes by this name, which leads to another file where the library has another version.
            let name = Files.parent(part.at) + "/" + link
            if let real = Files.resolved(name), real != part.at { targets.append(real) }
            if Files.resolved(name) == nil { targets.append(name) }
        }
        for target in targets where !plan.mounts.contains(where: { $0.target == target }) {
            plan.mounts.append(.init(entry: entry, place: Array(part.at.utf8.dropFirst()), target: target))
        }
    }

    private func soname(of entry: TreeEntry) -> String? {
        guard entry.kind == .file, let bytes = try? repository.reader.bytes(of: entry, limit: 64 << 20) else {
            return nil
        }
        return try? withTemporaryFile(bytes) { ELFFile($0)?.soname }
    }

    private func withTemporaryFile<R>(_ bytes: [UInt8], _ body: (Int32) -> R) throws(DFSError) -> R {
        let memory = OwnedDescriptor(
            adopting: try System.call("cannot make a file in memory") { clinux_memfd("dfs-library") })
        try Files.write(bytes, to: memory.raw, what: "a library")
        return body(memory.raw)
    }

    // MARK: Copies

    /// A copy of what `mount` needs, in this host's cache; one that is there is used again.
    package func copy(of mount: Plan.Mount, threads: Int = 1) throws(DFSError) -> String {
        let folder = repository.cacheDirectory + "/environment/copies"
        try Files.makeDirectories(folder, mode: 0o700)
        let path = folder + "/" + mount.entry.content.digest.hex
        if Files.exists(path) { return path }
        let temporary = folder + "/." + Randomness.hex(bytes: 8)
        do throws(DFSError) {
            try Export(reader: repository.reader, threads: threads).run(mount.entry, to: temporary)
            try System.call("cannot rename \(temporary)") { rename(temporary, path) }
        } catch {
            try? Files.removeTree(temporary)
            // Somebody else was faster.
            if Files.exists(path) { return path }
            throw error
        }
        return path
    }
}
