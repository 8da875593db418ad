import CLinux
import DFSHistory
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// The programs and libraries that a job has mapped, found by looking into its processes from time to time, and libraries that
/// it has opened, where the kernel tells of that.
///
/// `look` and `opened` are each called by one thread; files are read on another one, with little priority.
package final class LibraryWatch: Sendable {
    private struct State {
        /// By path; `nil` while the file has not been read.
        var files: [MappedFile: JSONValue?] = [:]
        /// When a process, known by its start, is looked into next.
        var due: [Int32: (start: Int64, first: Int64, next: Int64)] = [:]
        /// Files that are held open until they are read.
        var held = 0
        var looks = 0
        var isStopped = false
        /// The root directory of the job's view, where opens are seen.
        var root: OwnedDescriptor?
        /// Those that were opened, and not seen mapped.
        var opened = Set<MappedFile>()
    }

    private let state = Mutex(State())
    private let catalogue: FileCatalogue
    private let work = BackgroundWork<[UInt8]>(capacity: 1 << 16)
    /// Told of each file when it is first seen.
    private let found: @Sendable (_ path: [UInt8]) -> Void

    package init(catalogue: FileCatalogue, found: @escaping @Sendable (_ path: [UInt8]) -> Void) {
        self.catalogue = catalogue
        self.found = found
    }

    /// From one look into a process to the next: after a second, then after three times its age, at most every ten minutes.
    private static func pause(age: Int64) -> Int64 { min(max(age * 2, 800), 600_000) }

    /// Looks into those processes that it is time for; when to come again.
    package func look(at milliseconds: Int64, _ processes: [Int32]) -> Int64 {
        let here = Set(processes)
        let due = state.withLock { state -> [Int32] in
            state.due = state.due.filter { here.contains($0.key) }
            return processes.filter { (state.due[$0]?.next ?? 0) <= milliseconds }
        }
        for pid in due { look(into: pid, at: milliseconds) }
        // New processes are found while others wait.
        return milliseconds + min(UsageSeries.pause(at: milliseconds), 10_000)
    }

    private func look(into pid: Int32, at milliseconds: Int64) {
        guard let start = (try? ProcessStat.read(pid: pid))??.start else { return }
        let mapped = MappedFile.all(of: pid)
        let new = state.withLock { state -> [MappedFile] in
            state.looks += 1
            let known = state.due[pid].flatMap { $0.start == start ? $0 : nil }
            let first = known?.first ?? milliseconds
            state.due[pid] = (start, first, milliseconds + Self.pause(age: milliseconds - first))
            state.opened.subtract(mapped)
            let new = mapped.filter { state.files[$0] == nil }
            for file in new { state.files[file] = .some(nil) }
            return Array(new)
        }
        for file in new { take(file, from: pid) }
    }

    /// Opens are seen from now on, in a view with this root directory.
    package func view(_ root: OwnedDescriptor) { state.withLock { $0.root = root } }

    /// A file was opened at a path of the job's view: it counts when it is a library by name and by what it holds.
    package func opened(_ path: String) {
        guard Self.isLibrary(PythonFinder.name(path)) else { return }
        let file = MappedFile(path: Array(path.utf8), isDeleted: false)
        let root = state.withLock { state -> OwnedDescriptor? in
            guard let root = state.root, state.files[file] == nil else { return nil }
            state.files[file] = .some(nil)
            state.opened.insert(file)
            return root
        }
        guard let root else { return }
        guard let opened = InView.open(path, root), ELFFile(opened.raw) != nil else {
            return state.withLock { state in
                state.files[file] = nil
                state.opened.remove(file)
            }
        }
        found(file.path)
        take(file, opened) { InView.open(path, root) }
    }

    /// `libm.so`, `libm.so.6`, `x.cpython-311-x86_64-linux-gnu.so`.
    private static func isLibrary(_ name: String) -> Bool {
        guard let range = name.firstRange(of: ".so") else { return false }
        return name[range.upperBound...].allSatisfy { $0 == "." || $0.isNumber }
    }

    private func take(_ file: MappedFile, from pid: Int32) {
        if file.isDeleted { return set(file, Fact.unknown("removed while it was mapped")) }
        found(file.path)
        // Through the process: its view may have another file there than the host.
        let place = Array("/proc/\(pid)/root".utf8) + file.path
        guard let opened = InView.open(host: place) else {
            return set(file, Fact.unknown("it could not be opened"))
        }
        take(file, opened) { InView.open(host: place) }
    }

    private func take(
        _ file: MappedFile, _ opened: OwnedDescriptor, again: @escaping @Sendable () -> OwnedDescriptor?
    ) {
        guard let status = try? FileStatus.of(opened), status.kind == .file
        else { return set(file, Fact.unknown("it could not be opened")) }
        let name = NameText.encode(file.path)
        if let facts = catalogue.known(name, status) { return set(file, facts) }
        let kept = hold() ? opened : nil
        work.add(file.path) { [self] in
            defer { if kept != nil { state.withLock { $0.held -= 1 } } }
            guard let opened = kept ?? again() else {
                return set(file, Fact.unknown("its process ended before it was read"))
            }
            if let facts = catalogue.read(opened, name, stop: { isStopped }) { return set(file, facts) }
            set(file, Fact.unknown(isStopped ? "not read before the run ended" : "it changed while it was read"))
        }
    }

    /// Whether one more file may stay open: descriptors are limited.
    private func hold() -> Bool {
        state.withLock { state in
            guard state.held < 200 else { return false }
            state.held += 1
            return true
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func set(_ file: MappedFile, _ facts: FileCatalogue.Facts) {
        var members: [String: JSONValue] = [
            "build_id": Fact.text(facts.buildID, orUnknown: "no GNU build id in the file"),
            "sha256": .string(facts.digest.text), "size_bytes": .integer(Int64(clamping: facts.size)),
        ]
        members["soname"] = facts.soname.map { .string($0) }
        set(file, .object(members))
    }

    private func set(_ file: MappedFile, _ facts: JSONValue) { state.withLock { $0.files[file] = .some(facts) } }

    /// Waits at most `milliseconds` for what is being read, and lets go of the rest.
    package func end(milliseconds: Int) {
        let deadline = Clock.monotonic() + UInt64(milliseconds) * 1_000_000
        while !work.isIdle, Clock.monotonic() < deadline { usleep(2000) }
        state.withLock { state in
            state.isStopped = true
            state.root = nil
        }
        catalogue.save()
    }

    /// `dfs.libraries/1` (docs/HOST.md).
    package var json: JSONValue {
        let (files, looks, opened) = state.withLock { ($0.files, $0.looks, $0.opened) }
        let rows = files.sorted { ByteOrder.precedes($0.key.path, $1.key.path) }.map { file, facts -> JSONValue in
            let facts = facts ?? Fact.unknown("not read before the run ended")
            return (facts["sha256"] != nil ? facts : ["sha256": facts])
                .setting("path", .string(NameText.encode(file.path)))
                .setting("seen", opened.contains(file) ? "opened" : "mapped")
        }
        return [
            "coverage": .string(Self.coverage), "format": "dfs.libraries/1",
            "libraries": Fact.list(rows, orNone: "no look found a process of the job"),
            "looks": .integer(Int64(looks)),
        ]
    }

    private static let coverage =
        "Read from /proc/<pid>/maps of the job's processes: 0.2 s after the start, then at growing distances. A process that "
        + "lives less than a second may be missing, and so may what one has mapped for a short time. Where modules.json says that "
        + "opens are seen, so are those of libraries: all of them are here."

    /// Paths of what was seen, in no order.
    package var mapped: [String] { state.withLock { $0.files.keys.map { String(decoding: $0.path, as: UTF8.self) } } }

    package var count: Int { state.withLock { $0.files.count } }
}
