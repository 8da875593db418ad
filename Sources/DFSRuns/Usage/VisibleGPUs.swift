import DFSModel

/// Which of the devices that NVML lists a job can use, by the rules of the CUDA runtime.
///
/// `CUDA_VISIBLE_DEVICES` (CUDA C Programming Guide, "CUDA Environment Variables") is a list of indices or of beginnings of
/// UUIDs; what comes after the first that is not there does not count. `NVIDIA_VISIBLE_DEVICES` is for NVIDIA's container
/// runtime, which has put only those devices into the container by now: of its words only those that mean "none" and
/// UUIDs are of use here.
package struct VisibleGPUs: Equatable {
    package enum Choice: Equatable, Sendable {
        case whole
        /// So many MIG instances of it.
        case instances(Int)
    }

    /// By the device's place in NVML's list.
    package private(set) var chosen = [Int: Choice]()
    /// What makes the choice less than certain.
    package private(set) var doubt: String?

    private struct Device {
        let uuid: String
        let name: String
        let instances: [String]
        var isPartitioned: Bool { !instances.isEmpty }
    }

    /// `devices` as in the host record.
    package init(devices: [JSONValue], environment: [String: String]) {
        let devices = devices.map { device in
            Device(
                uuid: device["uuid"]?.string ?? "", name: device["name"]?.string ?? "",
                instances: (device["mig"]?["instances"]?.array ?? []).compactMap { $0["uuid"]?.string })
        }
        let container = Self.words(environment["NVIDIA_VISIBLE_DEVICES"])
        if let first = container?.first, ["none", "void"].contains(first) { return }
        let wanted = Self.words(environment["CUDA_VISIBLE_DEVICES"]) ?? container.flatMap { Self.uuids($0) }
        guard let wanted else {
            for (i, device) in devices.enumerated() { take(i, device) }
            return
        }
        for word in wanted {
            guard choose(word, devices) else { break }
        }
        let byIndex = wanted.contains { Int($0) != nil }
        if byIndex, environment["CUDA_DEVICE_ORDER"] != "PCI_BUS_ID", Set(devices.map(\.name)).count > 1 {
            doubt = "the GPUs differ and CUDA_DEVICE_ORDER is not PCI_BUS_ID: CUDA may number them otherwise"
        }
    }

    /// `nil` when the variable is not set; set to nothing it hides everything.
    private static func words(_ text: String?) -> [String]? {
        text?.split(separator: ",").map { $0.filter { $0 != " " } }
    }

    private static func uuids(_ words: [String]) -> [String]? {
        let found = words.filter { $0.hasPrefix("GPU-") || $0.hasPrefix("MIG-") }
        return found.isEmpty ? nil : found
    }

    private mutating func take(_ index: Int, _ device: Device) {
        chosen[index] = device.isPartitioned ? .instances(device.instances.count) : .whole
    }

    /// `false` when there is no such device.
    private mutating func choose(_ word: String, _ devices: [Device]) -> Bool {
        if let number = Int(word) {
            guard devices.indices.contains(number) else { return false }
            take(number, devices[number])
            return true
        }
        for (i, device) in devices.enumerated() {
            if word.hasPrefix("GPU-"), device.uuid.hasPrefix(word) {
                take(i, device)
                return true
            }
            guard device.instances.contains(where: { $0.hasPrefix(word) }), word.hasPrefix("MIG-") else { continue }
            if case .instances(let count) = chosen[i] {
                chosen[i] = .instances(count + 1)
            } else {
                chosen[i] = .instances(1)
            }
            return true
        }
        return false
    }

    /// Devices that are the job's; an instance of a divided one counts as one.
    package var count: Int {
        chosen.values.reduce(0) { sum, choice in
            switch choice {
            case .whole: sum + 1
            case .instances(let count): sum + count
            }
        }
    }
}
