import CLinux
import DFSLaunch
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// The Python modules that a job imports: `evidence/modules.json` (`dfs.modules/1`), and `evidence/imported/` with those that
/// nothing else records.
final class ModuleWitness: RunWitness, @unchecked Sendable {
    let name = "modules"
    private let plan: RunPlan
    private let live: LiveRun
    private let home: String?
    private let modules: ModuleWatch
    private let libraries: LibraryWatch
    private let observer: JobObserver
    private var watch: OpenWatch?
    private var isStarted = false
    private var namespace: OwnedDescriptor?
    private var hasBegun = false
    private var written = 0
    private var failure: String?

    init(
        _ plan: RunPlan, _ live: LiveRun, catalogue: FileCatalogue, cache: String?, home: String?,
        libraries: LibraryWatch, observer: JobObserver
    ) {
        self.libraries = libraries
        self.observer = observer
        self.plan = plan
        self.live = live
        self.home = home
        modules = ModuleWatch(
            python: plan.host.stable["python"], home: home, project: [plan.survey.root] + plan.roots.map(\.survey.root),
            folder: live.evidence + "/imported", scratch: live.scratch, cacheDirectory: cache, catalogue: catalogue,
            coverage: .opens)
    }

    func prepare(_ enter: inout EnterPlan) {
        // For a run that is killed: most modules are imported at the start.
        observer.add(due: Self.firstWrite) { [self] now, _ in
            if modules.count != written { write() }
            return now * 2
        }
        // In a namespace of the job's own: on the host's mounts every process would be seen.
        guard enter.namespace == .mount else {
            return modules.fallBack("the job has no mount namespace of root's")
        }
        do throws(DFSError) {
            watch = try OpenWatch()
            enter.waits = true
        } catch { modules.fallBack(error.cause ?? error.what) }
    }

    /// The mounts of the view, none of them used yet.
    func ready(pid: Int32) {
        guard let watch else { return }
        do throws(DFSError) {
            let root = try OwnedDescriptor.open("/proc/\(pid)/root", clinux_O_PATH | O_DIRECTORY)
            // Files have paths as long as their mounts hang in a namespace.
            namespace = try OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY)
            let mounts = try CodeMounts.all(of: pid, besides: [RunView.deepops] + plan.inputs.compactMap(\.path))
            var isWatched = false
            for mount in mounts {
                // One that is covered by another cannot be reached, and no file of it opened.
                if (try? watch.add(mountAt: mount, of: pid)) != nil { isWatched = true }
            }
            guard isWatched else { return modules.fallBack("no mount of the view could be watched") }
            modules.view(root)
            libraries.view(root)
            try watch.start(Receiver(modules, libraries))
            isStarted = true
        } catch { modules.fallBack(error.cause ?? error.what) }
    }

    private final class Receiver: OpenWatch.Receiver {
        private let modules: ModuleWatch
        private let libraries: LibraryWatch

        init(_ modules: ModuleWatch, _ libraries: LibraryWatch) {
            self.modules = modules
            self.libraries = libraries
        }

        func opened(_ path: UnsafeRawBufferPointer, at time: Timestamp) {
            guard CodeName.isCode(path) else { return }
            let path = String(decoding: path, as: UTF8.self)
            modules.opened(path)
            libraries.opened(path)
        }

        func paused() {}
    }

    func began(pid: Int32, mountNamespace: String) {
        hasBegun = true
        guard !isStarted else { return }
        for directory in invisible { modules.take(all: directory) }
    }

    /// Directories of modules that are installed nowhere: only their opens would tell which of them are used.
    private var invisible: [String] {
        let python = plan.host.stable["python"]
        let editable = (python?["distributions"]?.object ?? [:]).values.compactMap { $0["editable"]?.string }
        let path = plan.request.environment.variables["PYTHONPATH"] ?? ""
        let listed = path.split(separator: ":").map {
            Files.absolute(String($0), from: plan.request.environment.directory)
        }
        let all = editable.map { EnvironmentParts.full($0, home) } + listed
        return all.filter { $0.hasPrefix("/") && $0 != "/" && $0 != home && Files.isDirectory($0) }
    }

    /// Milliseconds after the start; then at twice the time each.
    private static let firstWrite: Int64 = 3000

    /// What is being read when the job ends is waited for so long.
    private static let patience = 200

    func ended() {
        observer.end()
        if isStarted, let ending = watch?.finish(), !ending.isComplete {
            modules.lose(ending.reason ?? "\(ending.lost) events")
        }
        // Where opens are not seen, of modules only those are that are mapped.
        if !isStarted { for path in libraries.mapped { modules.opened(path) } }
        modules.end(milliseconds: Self.patience)
        namespace = nil
        if hasBegun { write() }
    }

    private func write() {
        written = modules.count
        do throws(DFSError) { try live.writeEvidence("modules.json", modules.json) } catch {
            failure = error.cause ?? error.what
        }
    }

    var summary: JSONValue {
        if let failure { return Fact.unknown(failure) }
        guard hasBegun else { return Fact.none("the command was not executed") }
        return .object(modules.summary.merging(["file": "modules.json"]) { $1 })
    }
}
