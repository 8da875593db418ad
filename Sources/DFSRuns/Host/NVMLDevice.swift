import DFSModel

/// One GPU.
enum NVMLDevice {
    static func handle(_ library: NVMLLibrary, index: UInt32) -> NVMLLibrary.Reading<NVMLLibrary.Device?> {
        library.call("nvmlDeviceGetHandleByIndex_v2", as: NVMLLibrary.DeviceAt.self) { f in
            var device: NVMLLibrary.Device?
            return (f(index, &device), device)
        }
    }

    static func capture(_ library: NVMLLibrary, index: UInt32) -> (stable: JSONValue, volatile: JSONValue) {
        switch handle(library, index: index) {
        case .failed(let reason):
            let lost = Fact.unknown(reason)
            return (lost, lost)
        case .value(nil):
            let lost = Fact.unknown("NVML gave no handle")
            return (lost, lost)
        case .value(let device?):
            return (stable(library, device), volatile(library, device))
        }
    }

    private static func stable(_ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        [
            "clocks_max_mhz": clocks("nvmlDeviceGetMaxClockInfo", library, device),
            "compute_capability": library.pair("nvmlDeviceGetCudaComputeCapability", device)
                .fact { .string("\($0.0).\($0.1)") },
            "compute_mode": library.number("nvmlDeviceGetComputeMode", device).fact(computeMode),
            "ecc": library.pair("nvmlDeviceGetEccMode", device).fact(modes),
            "memory_bytes": memory(library, device).fact { .integer(Int64(clamping: $0.total)) },
            "mig": multiInstance(library, device),
            "name": library.deviceText("nvmlDeviceGetName", device),
            "nvlink": links(library, device),
            "pci": library.structure("nvmlDeviceGetPciInfo_v3", device, size: 68).fact { bytes in
                // busId: 32 bytes after busIdLegacy[16] and five 32-bit fields.
                let text = String(decoding: bytes[36..<68].prefix { $0 != 0 }, as: UTF8.self)
                return Fact.text(text, orUnknown: "nvmlDeviceGetPciInfo_v3 answered with an empty bus id")
            },
            "persistence_mode": library.number("nvmlDeviceGetPersistenceMode", device).fact { .bool($0 != 0) },
            "power_limit_milliwatts": library.number("nvmlDeviceGetEnforcedPowerLimit", device)
                .fact { .integer(Int64($0)) },
            "serial": library.deviceText("nvmlDeviceGetSerial", device),
            "uuid": library.deviceText("nvmlDeviceGetUUID", device),
            "vbios": library.deviceText("nvmlDeviceGetVbiosVersion", device),
        ]
    }

    private static func volatile(_ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        [
            "clocks_mhz": clocks("nvmlDeviceGetClockInfo", library, device),
            "compute_processes": processes(library, device),
            // Arguments: uncorrected errors, counted over the device's life.
            "ecc_errors_uncorrected": library.call("nvmlDeviceGetTotalEccErrors", as: NVMLLibrary.DeviceCounter.self) {
                f in
                var value: UInt64 = 0
                return (f(device, 1, 1, &value), value)
            }.fact { .integer(Int64(clamping: $0)) },
            "memory_used_bytes": memory(library, device).fact { .integer(Int64(clamping: $0.used)) },
            "power_milliwatts": library.number("nvmlDeviceGetPowerUsage", device).fact { .integer(Int64($0)) },
            "temperature_celsius": library.number("nvmlDeviceGetTemperature", device, 0).fact { .integer(Int64($0)) },
            "uuid": library.deviceText("nvmlDeviceGetUUID", device),
        ]
    }

    // MARK: parts

    static func clocks(_ name: String, _ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        func clock(_ kind: UInt32) -> JSONValue { library.number(name, device, kind).fact { .integer(Int64($0)) } }
        return ["graphics": clock(0), "memory": clock(2), "sm": clock(1)]
    }

    static func memory(
        _ library: NVMLLibrary, _ device: NVMLLibrary.Device
    ) -> NVMLLibrary.Reading<(total: UInt64, used: UInt64)> {
        // Three 64-bit fields: total, free, used.
        switch library.structure("nvmlDeviceGetMemoryInfo", device, size: 24) {
        case .failed(let reason): .failed(reason)
        case .value(let bytes): .value((word(bytes, at: 0), word(bytes, at: 16)))
        }
    }

    static func word(_ bytes: [UInt8], at offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }

    private static func modes(_ pair: (UInt32, UInt32)) -> JSONValue {
        ["current": .bool(pair.0 != 0), "pending": .bool(pair.1 != 0)]
    }

    private static func computeMode(_ mode: UInt32) -> JSONValue {
        switch mode {
        case 0: "default"
        case 1: "exclusive thread"
        case 2: "prohibited"
        case 3: "exclusive process"
        default: Fact.unknown("compute mode \(mode)")
        }
    }

    /// NVLink states, up to the first link that the device does not have.
    private static func links(_ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        var states = [JSONValue]()
        for link in UInt32(0)..<36 {
            switch library.number("nvmlDeviceGetNvLinkState", device, link) {
            case .value(let active): states.append(.bool(active != 0))
            case .failed(let reason): return states.isEmpty ? Fact.unknown(reason) : ["active": .array(states)]
            }
        }
        return ["active": .array(states)]
    }

    private static func processes(_ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        let names = ["_v3", "_v2", ""].map { "nvmlDeviceGetComputeRunningProcesses" + $0 }
        for name in names {
            guard let list = library.function(name, as: NVMLLibrary.DeviceList.self) else { continue }
            var count: UInt32 = 0
            let code = list(device, &count, nil)
            // With no room given, "insufficient size" comes with the number there is.
            if code == 0 || code == NVMLLibrary.insufficientSize { return .integer(Int64(count)) }
            return Fact.unknown(library.text(of: code))
        }
        return Fact.unknown("\(names[0]) is not in this library")
    }

    private static func multiInstance(_ library: NVMLLibrary, _ device: NVMLLibrary.Device) -> JSONValue {
        library.pair("nvmlDeviceGetMigMode", device).fact { pair in
            let instances: JSONValue
            if pair.0 == 0 {
                instances = Fact.none("MIG is disabled")
            } else {
                instances = library.number("nvmlDeviceGetMaxMigDeviceCount", device).fact { count in
                    Fact.list(
                        (0..<min(count, 64)).compactMap { instance(library, device, $0) }, orNone: "no MIG device")
                }
            }
            return modes(pair).setting("instances", instances)
        }
    }

    /// The MIG device at an index; `nil` where NVML says there is none.
    private static func instance(
        _ library: NVMLLibrary, _ device: NVMLLibrary.Device, _ index: UInt32
    ) -> JSONValue? {
        let name = "nvmlDeviceGetMigDeviceHandleByIndex"
        guard let at = library.function(name, as: NVMLLibrary.DeviceChild.self) else {
            return index == 0 ? Fact.unknown("\(name) is not in this library") : nil
        }
        var child: NVMLLibrary.Device?
        let code = at(device, index, &child)
        if code == NVMLLibrary.notFound || code == NVMLLibrary.invalidArgument { return nil }
        guard code == 0, let child else { return Fact.unknown(library.text(of: code)) }
        // Eight 32-bit fields, of which the first counts multiprocessors, then the memory in MiB.
        let attributes = library.structure("nvmlDeviceGetAttributes_v2", child, size: 40)
        return [
            "memory_bytes": attributes.fact { .integer(Int64(clamping: word($0, at: 32) &* 1_048_576)) },
            "multiprocessors": attributes.fact { .integer(Int64(word($0, at: 0) & 0xffff_ffff)) },
            "name": library.deviceText("nvmlDeviceGetName", child),
            "uuid": library.deviceText("nvmlDeviceGetUUID", child),
        ]
    }
}
