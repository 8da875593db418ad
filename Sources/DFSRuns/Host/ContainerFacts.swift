import DFSModel
import DFSSystem
import Glibc

/// What confines this process: control group, container, processors.
enum ContainerFacts {
    /// The control group's path and its limits. Version 2 is asked first, then version 1's controllers.
    static func controlGroup() -> JSONValue {
        guard let text = Fact.file("/proc/self/cgroup") else { return Fact.unknown("/proc/self/cgroup cannot be read") }
        var paths = [String: String]()
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                paths[String(controller)] = String(parts[2])
            }
        }
        let memory = [("", "memory.max"), ("memory/", "memory.limit_in_bytes")]
        let cpu = [("", "cpu.max"), ("cpu/", "cpu.cfs_quota_us")]
        let path = [paths["memory"], paths[""]].lazy.compactMap { $0 }.first
        return [
            "cpu_max": limit(cpu, paths["cpu"] ?? paths[""]),
            "memory_max_bytes": limit(memory, paths["memory"] ?? paths[""]),
            "path": Fact.text(path, orUnknown: "/proc/self/cgroup names no group"),
        ]
    }

    /// The first of `files` that exists in the group, or in the mount's root: a control group namespace shows the
    /// group itself there.
    private static func limit(_ files: [(String, String)], _ path: String?) -> JSONValue {
        let base = "/sys/fs/cgroup/"
        for (controller, file) in files {
            for folder in [path ?? "/", "/"] {
                guard let text = Fact.file(base + controller + folder + "/" + file) else { continue }
                if text == "max" || text == "-1" || text.hasPrefix("max ") { return Fact.none("\(file) sets no limit") }
                guard let number = Int64(text) else { return .string(text) }
                // Version 1 writes "no limit" as the largest page-aligned number.
                if number >= Int64.max - 4095 { return Fact.none("\(file) sets no limit") }
                guard file == "cpu.cfs_quota_us" else { return .integer(number) }
                let period = Fact.file(base + controller + folder + "/cpu.cfs_period_us") ?? "100000"
                return .string("\(number) \(period)")
            }
        }
        let looked = files.map { $0.0 + $0.1 }.joined(separator: ", ")
        return Fact.none("neither of \(looked) in \(base)")
    }

    static func container(_ environment: [String: String]) -> JSONValue {
        var hints = [String: JSONValue]()
        if Files.exists("/.dockerenv") { hints["docker"] = "/.dockerenv" }
        if Files.exists("/run/.containerenv") { hints["podman"] = "/run/.containerenv" }
        if let kind = Fact.file("/run/systemd/container") { hints["systemd"] = .string(kind) }
        if let kind = environment["container"], !kind.isEmpty { hints["environment"] = .string(kind) }
        if environment["KUBERNETES_SERVICE_HOST"] != nil { hints["kubernetes"] = "KUBERNETES_SERVICE_HOST is set" }
        for name in ["APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"] where environment[name] != nil {
            hints["apptainer"] = .string(name + " is set")
        }
        return Fact.map(
            hints,
            orNone: "no /.dockerenv, /run/.containerenv, /run/systemd/container, and no container, Kubernetes or "
                + "Apptainer variable")
    }

    /// The processors this process may run on, as the kernel lists them.
    static func allowedProcessors() -> JSONValue {
        let line = Fact.file("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        let list = line.map { String(Fact.trimmed($0.dropFirst(18))) }
        return Fact.text(list, orUnknown: "/proc/self/status has no Cpus_allowed_list")
    }
}
