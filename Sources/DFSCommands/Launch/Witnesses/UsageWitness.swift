import DFSLaunch
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// What a job uses while it runs: `evidence/usage.jsonl` (`dfs.usage/1`), and GPU time reserved and busy.
final class UsageWitness: RunWitness {
    let name = "usage"
    private let observer: JobObserver
    private let plan: RunPlan
    private let folder: String
    private let environment: [String: String]
    private var series = UsageSeries()
    private var time = GPUTime()
    private var visible = [Int]()
    private var watch: GPUWatch?
    private var log: OwnedDescriptor?
    /// When the GPUs were last asked.
    private var asked: Int64 = 0
    private var failure: String?
    private var report: JSONValue = Fact.none("no GPU")

    init(_ plan: RunPlan, evidence folder: String, observer: JobObserver) {
        self.plan = plan
        self.folder = folder
        environment = plan.request.environment.variables
        self.observer = observer
    }

    // MARK: Beginning

    /// The helper is started before the job: what is started later would be taken for the job's.
    func prepare(_ enter: inout EnterPlan) {
        let gpu = plan.host.stable["gpu"]
        guard let devices = gpu?["devices"]?.array else {
            if let looked = (gpu?["none"] ?? gpu?["devices"]?["none"])?.string {
                time.absence = looked
            } else {
                time.failure = (gpu?["unknown"] ?? gpu?["devices"]?["unknown"])?.string ?? "the host record has no GPUs"
            }
            return
        }
        let choice = VisibleGPUs(devices: devices, environment: environment)
        visible = choice.chosen.keys.sorted()
        time.devices = choice.count
        time.doubt = choice.doubt
        guard !visible.isEmpty else { return }
        do throws(DFSError) {
            guard let library = GPUProbe.findLibrary(environment: environment) else {
                time.failure = "the NVIDIA library is gone"
                return
            }
            watch = try GPUWatch(helper: [ServerProcess.executable, "__nvml"], library: library)
        } catch { time.failure = error.cause ?? error.what }
        report = Fact.unknown("the job ended before nvidia-smi")
    }

    func began(pid: Int32, mountNamespace: String) {
        do throws(DFSError) {
            let path = folder + "/usage.jsonl"
            log = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
        } catch { failure = error.cause ?? error.what }
        watch?.ask()
        observer.add(due: UsageSeries.pause(at: 0)) { [self] now, processes in
            sample(at: now, processes, isLast: false)
            return now + UsageSeries.pause(at: now)
        }
        observer.begin(pid: pid, mountNamespace: mountNamespace)
        append(UsageSeries.header(began: observer.began ?? Clock.now(), gpus: gpus))
    }

    /// Those that are read, in the order of the lines' readings, and whether they are the job's.
    private var gpus: JSONValue {
        guard let devices = plan.host.stable["gpu"]?["devices"]?.array else { return plan.host.stable["gpu"] ?? .null }
        return .array(
            devices.enumerated().map { i, device in
                [
                    "name": device["name"] ?? .null, "uuid": device["uuid"] ?? .null,
                    "visible": .bool(visible.contains(i)),
                ]
            })
    }

    // MARK: Looking

    private func sample(at now: Int64, _ processes: [Int32], isLast: Bool) {
        readGPUs(waiting: isLast ? 150 : 0)
        if let line = series.add(at: now, processes: processes, isLast: isLast) { append(line) }
        guard !isLast, let watch else { return }
        watch.ask()
        asked = now
    }

    private func readGPUs(waiting: Int32) {
        guard let watch else { return }
        for reading in watch.take(milliseconds: waiting) {
            let visible = reading.enumerated().filter { self.visible.contains($0.offset) }.map(\.element)
            series.add(gpus: reading)
            let reason = visible.compactMap { ($0["utilisation_percent"] ?? $0)["unknown"]?.string }.first
            time.read(at: asked, visible.map { $0["utilisation_percent"]?.double }, reason: reason)
        }
        if let reason = watch.failure { time.failure = reason }
        keep(watch.report)
    }

    private func keep(_ report: JSONValue?) {
        guard let report, self.report.string == nil else { return }
        guard let text = report.string else { return self.report = report }
        do throws(DFSError) {
            let file = try OwnedDescriptor.open(folder + "/nvidia-smi.xml", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
            try Files.write(Array(text.utf8), to: file.raw, what: "nvidia-smi.xml")
            self.report = "nvidia-smi.xml"
        } catch { self.report = Fact.unknown(error.cause ?? error.what) }
    }

    /// One line, in one piece.
    private func append(_ line: JSONValue) {
        guard let log else { return }
        do throws(DFSError) {
            try Files.write(line.canonicalBytes + [0x0a], to: log.raw, what: "usage.jsonl")
        } catch { failure = failure ?? error.cause ?? error.what }
    }

    // MARK: The end

    func ended() {
        observer.end()
        let now = observer.milliseconds
        if let watch {
            readGPUs(waiting: 0)
            watch.ask()
            asked = now
            sample(at: now, [], isLast: true)
            watch.end()
        } else if observer.began != nil {
            sample(at: now, [], isLast: true)
        }
        time.reserve(until: now)
        log = nil
    }

    var summary: JSONValue {
        var members: [String: JSONValue] = [
            "gpu-time": time.json, "nvidia-smi": report, "seen": series.totals,
            "series": failure.map { Fact.unknown($0) } ?? "usage.jsonl",
        ]
        if observer.began == nil { members["series"] = Fact.none("the command was not executed") }
        return .object(members)
    }

    var words: String? { observer.began == nil ? nil : time.words }
}
