import DFSModel
import Glibc

/// What the NVIDIA management library says of driver and devices.
///
/// Runs in a process of its own: a driver in trouble can hang a caller for good.
package enum NVML {
    /// `{"format":"dfs.nvml/1","stable":…,"volatile":…}`; a call that fails is unknown in its own member only.
    /// `library` is a path or a soname for dlopen(3).
    package static func captureJSON(library: String) -> JSONValue {
        switch NVMLLibrary.load(library) {
        case .failed(let reason): return whole(Fact.unknown(reason))
        case .value(let library): return capture(library)
        }
    }

    static func whole(_ fact: JSONValue) -> JSONValue {
        ["format": "dfs.nvml/1", "stable": fact, "volatile": fact]
    }

    private static func capture(_ library: NVMLLibrary) -> JSONValue {
        let started = library.call("nvmlInit_v2", as: NVMLLibrary.Plain.self) { ($0(), ()) }
        if case .failed(let reason) = started { return whole(Fact.unknown("nvmlInit_v2: \(reason)")) }
        defer { _ = library.call("nvmlShutdown", as: NVMLLibrary.Plain.self) { ($0(), ()) } }
        var stable: [String: JSONValue] = [
            "cuda_driver": cudaVersion(library),
            "driver": library.systemText("nvmlSystemGetDriverVersion"),
            "nvml": library.systemText("nvmlSystemGetNVMLVersion"),
        ]
        var readings = JSONValue.null
        switch library.deviceCount {
        case .failed(let reason):
            stable["devices"] = Fact.unknown(reason)
            readings = Fact.unknown(reason)
        case .value(0):
            stable["devices"] = Fact.none("NVML counts no device")
            readings = Fact.none("NVML counts no device")
        case .value(let count):
            let devices = (0..<count).map { NVMLDevice.capture(library, index: $0) }
            stable["devices"] = .array(devices.map(\.stable))
            readings = .array(devices.map(\.volatile))
        }
        return ["format": "dfs.nvml/1", "stable": .object(stable), "volatile": ["devices": readings]]
    }

    /// NVML writes 12.4 as 12040.
    private static func cudaVersion(_ library: NVMLLibrary) -> JSONValue {
        library.call("nvmlSystemGetCudaDriverVersion_v2", as: NVMLLibrary.SystemNumber.self) { f in
            var value: UInt32 = 0
            return (f(&value), value)
        }.fact { .string("\($0 / 1000).\($0 % 1000 / 10)") }
    }
}
