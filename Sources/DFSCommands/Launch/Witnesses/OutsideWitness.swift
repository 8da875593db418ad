import CLinux
import DFSLaunch
import DFSModel
import DFSRuns
import DFSSystem
import Glibc
import Synchronization

/// What a job writes outside of what is recorded: into the home, `/tmp`, any absolute path. `evidence/outside.json` lists it;
/// the files stay where they are and are not kept.
final class OutsideWitness: RunWitness {
    let name = "outside"
    private let plan: RunPlan
    private let live: LiveRun
    private let found: Found
    private var watch: OpenWatch?
    private var isStarted = false
    private var namespace: OwnedDescriptor?
    private var reason: String?

    init(_ plan: RunPlan, _ live: LiveRun) {
        self.plan = plan
        self.live = live
        let roots = [plan.survey.root] + plan.roots.map(\.survey.root)
        // In place the project is as much outside as all else: what is written there is not kept.
        found = Found(recorded: (plan.request.inPlace ? [] : roots) + [live.root, RunView.deepops])
    }

    func prepare(_ enter: inout EnterPlan) {
        guard enter.namespace == .mount else { return reason = "the job has no mount namespace of root's" }
        do throws(DFSError) {
            watch = try OpenWatch(.writes)
            enter.waits = true
        } catch { reason = error.cause ?? error.what }
    }

    func ready(pid: Int32) {
        guard let watch else { return }
        do throws(DFSError) {
            // Files have paths as long as their mounts hang in a namespace.
            namespace = try OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY)
            for mount in try CodeMounts.all(of: pid, besides: [RunView.deepops] + plan.inputs.compactMap(\.path)) {
                _ = try? watch.add(mountAt: mount, of: pid)
            }
            try watch.start(found)
            isStarted = true
        } catch { reason = error.cause ?? error.what }
    }

    func ended() {
        if isStarted, let ending = watch?.finish(), !ending.isComplete {
            reason = ending.reason ?? "\(ending.lost) events were lost"
        }
        (isStarted, namespace) = (false, nil)
        let paths = found.paths
        guard !paths.isEmpty else { return }
        do throws(DFSError) {
            try live.writeEvidence(
                "outside.json",
                ["format": "dfs.outside/1", "coverage": .string(Self.coverage), "files": .array(paths.map(Self.file))])
        } catch { reason = error.cause ?? error.what }
    }

    private static let coverage =
        "files that were open for writing and closed; not seen: what is made, renamed or removed without being written to"

    private static func file(_ path: [UInt8]) -> JSONValue {
        let status = try? FileStatus.of(path: NameText.display(path))
        return [
            "path": .string(NameText.encode(path)),
            "size": status.map { .integer(Int64(clamping: $0.size)) } ?? .null,
        ]
    }

    var summary: JSONValue {
        var members: [String: JSONValue] = ["files": .integer(Int64(found.paths.count))]
        if let reason { members["unknown"] = .string(reason) }
        return .object(members)
    }

    var words: String? {
        let count = found.paths.count
        return count == 0 ? nil : "outside \(Quantity.count(count, "file")), not kept"
    }

    /// What was seen, on the watch's thread.
    private final class Found: OpenWatch.Receiver {
        private let recorded: [[UInt8]]
        private let seen = Mutex(Set<[UInt8]>())
        /// More are counted by nobody: a job that writes a million files elsewhere is known by the first of them.
        private static let most = 10_000

        init(recorded: [String]) { self.recorded = recorded.map { Array(($0 + "/").utf8) } }

        func opened(_ path: UnsafeRawBufferPointer, at time: Timestamp) {
            let path = Array(path)
            // Devices are no files that anybody keeps.
            guard path.first == 0x2f, !path.starts(with: "/dev/".utf8), !path.starts(with: "/proc/".utf8),
                !recorded.contains(where: { path.starts(with: $0) })
            else { return }
            seen.withLock { if $0.count < Self.most { $0.insert(path) } }
        }

        func paused() {}

        var paths: [[UInt8]] { seen.withLock { $0.sorted { ByteOrder.precedes($0, $1) } } }
    }
}
