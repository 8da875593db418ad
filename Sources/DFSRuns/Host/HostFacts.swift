import DFSModel
import DFSSystem
import Dispatch
import Glibc
import Synchronization

/// For whom and from where a host record is taken.
package struct HostRequest: Sendable {
    /// The job's command line, which decides the Python that is described.
    package var arguments: [String]
    /// The job's environment.
    package var environment: [String: String]
    package var workingDirectory: String
    /// Written as `~` where it begins a path outside `identity`.
    package var home: String?
    /// Where facts are kept between captures; `nil`: nowhere.
    package var cacheDirectory: String?
    /// The command that prints `NVML.captureJSON`'s value.
    package var gpuHelper: [String]
    /// A path or soname in place of the one that is looked for.
    package var gpuLibrary: String?
    package var gpuMilliseconds = 5000
    /// SHA-256.
    package var hash: @Sendable ([UInt8]) -> Digest

    package init(
        arguments: [String], environment: [String: String], workingDirectory: String, home: String?,
        cacheDirectory: String?, gpuHelper: [String], hash: @escaping @Sendable ([UInt8]) -> Digest
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.home = home
        self.cacheDirectory = cacheDirectory
        self.gpuHelper = gpuHelper
        self.hash = hash
    }

    /// The path with a leading home directory written as `~`, so that no user name is in it.
    func shortened(_ path: String) -> String {
        guard let home, home.count > 1 else { return path }
        if path == home { return "~" }
        return path.hasPrefix(home + "/") ? "~" + path.dropFirst(home.count) : path
    }
}

/// Takes the host record.
package enum HostFacts {
    /// Never fails: what cannot be found out is said to be unknown. The GPUs are asked meanwhile, in a process of
    /// their own; the rest takes milliseconds once the cache is filled.
    package static func capture(_ request: HostRequest) -> HostRecord {
        let cache = HostCache(directory: request.cacheDirectory, hash: request.hash)
        let gpus = PendingGPUs(request)
        let storage = StorageFacts.capture(request.workingDirectory)
        let stable: JSONValue = [
            "hardware": HardwareFacts.capture(cache),
            "kernel": SystemFacts.kernel(hash: request.hash),
            "libc": SystemFacts.libc,
            "machine": SystemFacts.machine(hash: request.hash),
            "os": SystemFacts.operatingSystem(),
            "packages": DebianPackages.capture(cache),
            "python": PythonFacts.capture(request, cache),
        ]
        var volatile: JSONValue = [
            "boot": Fact.file(SystemFacts.bootPath, orUnknown: ()),
            "clock": SystemFacts.clock(),
            "memory_available_bytes": HardwareFacts.memory("MemAvailable"),
            "storage": storage.volatile,
            "taken": .string(Clock.now().description),
        ]
        let gpu = gpus.wait()
        volatile = volatile.setting("gpu", gpu.volatile)
        return HostRecord(
            identity: identity(request), stable: stable.setting("gpu", gpu.stable),
            job: job(request, storage: storage.job), volatile: volatile)
    }

    private static func job(_ request: HostRequest, storage: JSONValue) -> JSONValue {
        [
            "cgroup": ContainerFacts.controlGroup(),
            "container": ContainerFacts.container(request.environment),
            "cpus_allowed": ContainerFacts.allowedProcessors(),
            "image": ImageFacts(environment: request.environment).capture(),
            "limits": SystemFacts.limits(),
            "storage": storage,
            "switches": DeterminismSwitches.capture(request.environment),
            "timezone": SystemFacts.timeZone(request.environment),
        ]
    }

    private static func identity(_ request: HostRequest) -> JSONValue {
        [
            "home": Fact.text(request.home, orUnknown: "HOME is not set"),
            "hostname": Fact.file("/proc/sys/kernel/hostname", orUnknown: ()),
            "uid": .integer(Int64(geteuid())),
            "user": Fact.text(Account.name, orUnknown: "the user database has no name for this uid"),
        ]
    }
}

extension JSONValue {
    /// The object with one more member.
    package func setting(_ name: String, _ value: JSONValue) -> JSONValue {
        guard case .object(var members) = self else { return self }
        members[name] = value
        return .object(members)
    }
}

/// The GPUs' answer, awaited on a thread of its own.
private final class PendingGPUs: Sendable {
    private let answer = Mutex<GPUProbe.Answer?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ request: HostRequest) {
        guard let library = GPUProbe.findLibrary(request.gpuLibrary, environment: request.environment) else {
            let absent = GPUProbe.absent()
            answer.withLock { $0 = absent }
            done.signal()
            return
        }
        DispatchQueue.global(qos: .userInitiated).async { [self] in
            let value = GPUProbe.capture(
                helper: request.gpuHelper + [library], environment: request.environment,
                milliseconds: request.gpuMilliseconds)
            answer.withLock { $0 = value }
            done.signal()
        }
    }

    func wait() -> GPUProbe.Answer {
        done.wait()
        return answer.withLock { $0 } ?? GPUProbe.Answer(whole: Fact.unknown("the probe gave no answer"))
    }
}
