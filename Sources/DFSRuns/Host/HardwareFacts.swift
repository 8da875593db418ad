import DFSModel
import DFSSystem

/// Processor, memory, NUMA nodes, virtualisation and accelerators, from /proc and /sys.
enum HardwareFacts {
    /// Processor flags that decide which code paths numeric libraries take.
    static let recordedFlags: Set<String> = [
        "amx_bf16", "amx_complex", "amx_fp16", "amx_int8", "amx_tile", "asimd", "asimddp", "asimdfhm", "asimdhp", "avx",
        "avx2", "avx_ifma", "avx_ne_convert", "avx_vnni", "avx_vnni_int8", "bf16", "bmi2", "f16c", "fma", "fma4",
        "fphp",
        "i8mm", "sha1", "sha2", "sha512", "sha_ni", "sme", "sme2", "sse4_2", "sve", "sve2", "svebf16", "svei8mm",
        "vaes", "vpclmulqdq",
    ]

    /// What cannot change within a boot comes from the cache.
    static func capture(_ cache: HostCache) -> JSONValue {
        let key: JSONValue = [
            "boot": Fact.file(SystemFacts.bootPath, orUnknown: ()),
            "online": Fact.file("/sys/devices/system/cpu/online", orUnknown: ()),
            "memory": memory("MemTotal"), "version": 1,
        ]
        if let known = cache.value("hardware", key: key), known["cpu"]?.object != nil { return known }
        let value: JSONValue = [
            "accelerators": accelerators(),
            "cpu": processor(),
            "memory_bytes": memory("MemTotal"),
            "numa": numaNodes(),
            "virtualisation": virtualisation(),
        ]
        cache.store("hardware", key: key, value)
        return value
    }

    /// A line of /proc/meminfo in bytes.
    static func memory(_ name: String) -> JSONValue {
        guard let text = Fact.file("/proc/meminfo") else { return Fact.unknown("/proc/meminfo cannot be read") }
        for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
            let words = line.split(separator: " ")
            if words.count >= 2, let kibibytes = Int64(words[1]) { return .integer(kibibytes * 1024) }
        }
        return Fact.unknown("/proc/meminfo has no \(name)")
    }

    // MARK: processor

    private static func processor() -> JSONValue {
        guard let text = Fact.file("/proc/cpuinfo") else { return Fact.unknown("/proc/cpuinfo cannot be read") }
        var first = [String: String]()
        var threads = 0
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = String(Fact.trimmed(line[..<colon]))
            if name == "processor" { threads += 1 }
            if first[name] == nil { first[name] = String(Fact.trimmed(line[line.index(after: colon)...])) }
        }
        func word(_ names: String...) -> JSONValue {
            let value = names.lazy.compactMap { first[$0] }.first
            return Fact.text(value, orUnknown: "/proc/cpuinfo has no \(names[0])")
        }
        func number(_ name: String) -> JSONValue {
            first[name].flatMap { Int64($0) }.map { .integer($0) } ?? word(name)
        }
        let flags = (first["flags"] ?? first["Features"] ?? "").split(separator: " ").map(String.init)
        let recorded = flags.filter { recordedFlags.contains($0) || $0.hasPrefix("avx512") }
        let (sockets, cores) = topology()
        return [
            "cores": cores, "family": first["cpu family"] == nil ? word("CPU architecture") : number("cpu family"),
            "flags": Fact.list(
                Set(recorded).sorted().map { .string($0) }, orNone: "none of the recorded flags in /proc/cpuinfo"),
            "microcode": Fact.text(
                first["microcode"] ?? Fact.file("/sys/devices/system/cpu/cpu0/microcode/version"),
                orUnknown: "neither /proc/cpuinfo nor /sys tells it"),
            "model": word("model name", "Model", "CPU part"), "model_number": number("model"), "sockets": sockets,
            "stepping": first["stepping"] == nil ? word("CPU revision") : number("stepping"),
            "threads": .integer(Int64(threads)), "vendor": word("vendor_id", "CPU implementer"),
        ]
    }

    /// Sockets and cores of the processors that are online.
    private static func topology() -> (sockets: JSONValue, cores: JSONValue) {
        let base = "/sys/devices/system/cpu"
        var sockets = Set<String>()
        var cores = Set<String>()
        for number in numbered(base, prefix: "cpu") {
            let folder = "\(base)/cpu\(number)/topology"
            guard let socket = Fact.file(folder + "/physical_package_id"), let core = Fact.file(folder + "/core_id")
            else { continue }
            sockets.insert(socket)
            cores.insert(socket + "/" + core)
        }
        guard !cores.isEmpty else {
            let reason = Fact.unknown("\(base)/cpu*/topology cannot be read")
            return (reason, reason)
        }
        return (.integer(Int64(sockets.count)), .integer(Int64(cores.count)))
    }

    private static func numbered(_ directory: String, prefix: String) -> [Int] {
        let names = (try? DirectoryListing.names(of: directory)) ?? []
        return names.compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            return text.hasPrefix(prefix) ? Int(text.dropFirst(prefix.count)) : nil
        }.sorted()
    }

    // MARK: the rest

    private static func numaNodes() -> JSONValue {
        let base = "/sys/devices/system/node"
        let nodes = numbered(base, prefix: "node").map { number -> JSONValue in
            // Not its memory: kernels that initialise memory late let the sum grow while the machine runs.
            [
                "cpus": Fact.text(Fact.file("\(base)/node\(number)/cpulist"), orUnknown: "no cpulist of the node"),
                "node": .integer(Int64(number)),
            ]
        }
        return Fact.list(nodes, orNone: "no node in \(base)")
    }

    private static func virtualisation() -> JSONValue {
        var hints = [String: JSONValue]()
        let flags = Fact.file("/proc/cpuinfo")?.split(separator: "\n").first { $0.hasPrefix("flags") }
        if flags?.split(separator: " ").contains("hypervisor") == true { hints["cpu_flag"] = "hypervisor" }
        for (name, path) in [
            ("product", "/sys/class/dmi/id/product_name"), ("vendor", "/sys/class/dmi/id/sys_vendor"),
            ("hypervisor", "/sys/hypervisor/type"),
            ("device_tree", "/sys/firmware/devicetree/base/hypervisor/compatible"),
        ] {
            if let text = Fact.file(path) { hints[name] = .string(text.filter { $0 != "\0" }) }
        }
        return Fact.map(hints, orNone: "no hypervisor flag, /sys/class/dmi, /sys/hypervisor or device tree node")
    }

    /// PCI devices of the classes display controller (03) and processing accelerator (12).
    private static func accelerators() -> JSONValue {
        let base = "/sys/bus/pci/devices"
        guard let names = try? DirectoryListing.names(of: base) else { return Fact.none("no \(base)") }
        let devices = names.compactMap { bytes -> JSONValue? in
            let name = String(decoding: bytes, as: UTF8.self)
            guard let kind = Fact.file("\(base)/\(name)/class"), kind.hasPrefix("0x03") || kind.hasPrefix("0x12")
            else { return nil }
            return [
                "address": .string(name), "class": .string(kind),
                "device": Fact.file("\(base)/\(name)/device", orUnknown: ()),
                "vendor": Fact.file("\(base)/\(name)/vendor", orUnknown: ()),
            ]
        }
        return Fact.list(devices, orNone: "no PCI device of class 03 or 12")
    }
}
