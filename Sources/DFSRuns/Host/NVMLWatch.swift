import DFSModel
import DFSSystem
import Glibc

/// Reads the GPUs again and again for somebody who asks: the helper's side of `GPUWatch`.
///
/// First a line `{"format":"dfs.nvml-watch/1","devices":[…]}`, then for each line of input one `{"devices":[…]}` in the
/// same order, and once, when it is there, `{"nvidia-smi":…}`. Ends when the input does.
package struct NVMLWatch {
    private let library: NVMLLibrary
    private let devices: [NVMLLibrary.Device?]
    /// When the newest sample of the driver's own buffer was taken, per device (microseconds, the driver's clock).
    private var seen: [UInt64]
    private var events: NVMLEvents

    /// Serves until `input` ends; the exit code. What cannot be begun is said in the first line, as `unknown`.
    package static func serve(
        library name: String, input: Int32, output: Int32, environment: [String: String]
    ) -> Int32 {
        _ = Workers.detach { say(["nvidia-smi": report(environment)], to: output) }
        let watch: NVMLWatch
        switch begin(name) {
        case .failed(let reason):
            say(["format": "dfs.nvml-watch/1", "devices": Fact.unknown(reason)], to: output)
            return 1
        case .value(let value): watch = value
        }
        return watch.serve(input: input, output: output)
    }

    /// What `nvidia-smi -q -x` prints.
    private static func report(_ environment: [String: String]) -> JSONValue {
        guard let tool = Executables.find("nvidia-smi", path: environment["PATH"] ?? "") else {
            return Fact.none("no nvidia-smi in PATH")
        }
        do {
            let outcome = try CapturedCommand.run(
                [tool, "-q", "-x"], environment: environment, milliseconds: 10_000, outputLimit: 1 << 24)
            guard outcome.succeeded else { return Fact.unknown("nvidia-smi: \(outcome.complaint)") }
            return .string(String(decoding: outcome.output, as: UTF8.self))
        } catch { return Fact.unknown(error.cause ?? error.what) }
    }

    private static let writing = Lock()

    private static func say(_ value: JSONValue, to output: Int32) {
        // Longer than what a pipe takes in one piece.
        try? writing.hold { () throws(DFSError) in
            try Files.write(value.canonicalBytes + [0x0a], to: output, what: "the reader of the GPUs")
        }
    }

    private static func begin(_ name: String) -> NVMLLibrary.Reading<NVMLWatch> {
        let library: NVMLLibrary
        switch NVMLLibrary.load(name) {
        case .failed(let reason): return .failed(reason)
        case .value(let value): library = value
        }
        let started = library.call("nvmlInit_v2", as: NVMLLibrary.Plain.self) { ($0(), ()) }
        if case .failed(let reason) = started { return .failed("nvmlInit_v2: \(reason)") }
        switch library.deviceCount {
        case .failed(let reason): return .failed(reason)
        case .value(let count): return .value(NVMLWatch(library, count: count))
        }
    }

    private init(_ library: NVMLLibrary, count: UInt32) {
        self.library = library
        devices = (0..<count).map { index in
            if case .value(let device) = NVMLDevice.handle(library, index: index) { device } else { nil }
        }
        seen = devices.map { _ in 0 }
        events = NVMLEvents(library, devices.compactMap { $0 })
    }

    private consuming func serve(input: Int32, output: Int32) -> Int32 {
        Self.say(["format": "dfs.nvml-watch/1", "devices": .array(devices.map(describe))], to: output)
        // Samples that were taken before somebody asked are not the job's.
        for i in devices.indices { _ = utilisation(i) }
        var buffer = [UInt8](repeating: 0, count: 64)
        while true {
            let count = read(input, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return 0 }
            let errors = events.take()
            for _ in 0..<buffer[..<count].count(where: { $0 == 0x0a }) {
                Self.say(["devices": .array(devices.indices.map { reading($0, errors) })], to: output)
            }
        }
    }

    // MARK: One device

    private func describe(_ device: NVMLLibrary.Device?) -> JSONValue {
        guard let device else { return Fact.unknown("NVML gave no handle") }
        return [
            "name": library.deviceText("nvmlDeviceGetName", device),
            "uuid": library.deviceText("nvmlDeviceGetUUID", device),
        ]
    }

    private mutating func reading(_ index: Int, _ errors: [NVMLLibrary.Device: [UInt64]]) -> JSONValue {
        guard let device = devices[index] else { return Fact.unknown("NVML gave no handle") }
        func number(_ name: String) -> JSONValue { library.number(name, device).fact { .integer(Int64($0)) } }
        func errorCount(_ kind: UInt32) -> JSONValue {
            // Second argument 0: counted since the driver was loaded.
            library.call("nvmlDeviceGetTotalEccErrors", as: NVMLLibrary.DeviceCounter.self) { f in
                var value: UInt64 = 0
                return (f(device, kind, 0, &value), value)
            }.fact { .integer(Int64(clamping: $0)) }
        }
        let memory = NVMLDevice.memory(library, device)
        var members: [String: JSONValue] = [
            "clocks_mhz": NVMLDevice.clocks("nvmlDeviceGetClockInfo", library, device),
            "ecc_errors_corrected": errorCount(0), "ecc_errors_uncorrected": errorCount(1),
            "memory_used_bytes": memory.fact { .integer(Int64(clamping: $0.used)) },
            "power_milliwatts": number("nvmlDeviceGetPowerUsage"),
            "temperature_celsius": library.number("nvmlDeviceGetTemperature", device, 0).fact { .integer(Int64($0)) },
            "throttle_reasons": throttling(device), "utilisation_percent": utilisation(index),
        ]
        if let codes = errors[device] { members["xid"] = .array(codes.map { .integer(Int64(clamping: $0)) }) }
        if let reason = events.failure { members["xid"] = Fact.unknown(reason) }
        return .object(members)
    }

    /// The mean of what the driver has sampled by itself since the last call, some times a second; where it keeps no
    /// samples, its current value.
    private mutating func utilisation(_ index: Int) -> JSONValue {
        guard let device = devices[index] else { return .null }
        if let mean = sampledUtilisation(device, index) { return .double(mean) }
        // Two 32-bit numbers, of which the first is the processors' part of the last sampling period.
        return library.structure("nvmlDeviceGetUtilizationRates", device, size: 8).fact { bytes in
            .integer(Int64(NVMLDevice.word(bytes, at: 0) & 0xffff_ffff))
        }
    }

    private mutating func sampledUtilisation(_ device: NVMLLibrary.Device, _ index: Int) -> Double? {
        guard let samples = library.function("nvmlDeviceGetSamples", as: NVMLLibrary.DeviceSamples.self) else {
            return nil
        }
        var (kind, count) = (UInt32(0), UInt32(0))
        // Argument 1: samples of GPU utilisation. Without room, the most there can be.
        guard samples(device, 1, seen[index], &kind, &count, nil) == 0, count > 0, count < 1 << 16 else { return nil }
        // A time in microseconds and a union of eight bytes.
        var buffer = [UInt64](repeating: 0, count: Int(count) * 2)
        let code = buffer.withUnsafeMutableBytes { samples(device, 1, seen[index], &kind, &count, $0.baseAddress) }
        // Kind 1: unsigned int.
        guard code == 0, count > 0, Int(count) * 2 <= buffer.count, kind == 1 else { return nil }
        let last = seen[index]
        var (newest, sum, taken) = (last, UInt64(0), UInt64(0))
        for i in 0..<Int(count) {
            let (time, value) = (buffer[i * 2], buffer[i * 2 + 1] & 0xffff_ffff)
            guard time > last, value <= 100 else { continue }
            newest = max(newest, time)
            sum += value
            taken += 1
        }
        guard taken > 0 else { return nil }
        seen[index] = newest
        return Double(sum * 10 / taken) / 10
    }

    /// Names of nvmlClocksThrottleReason bits.
    private static let reasons: [(bit: UInt64, name: String)] = [
        (0x1, "idle"), (0x2, "application clocks"), (0x4, "power cap"), (0x8, "hardware slowdown"),
        (0x10, "sync boost"), (0x20, "software thermal"), (0x40, "hardware thermal"), (0x80, "power brake"),
        (0x100, "display clocks"),
    ]

    private func throttling(_ device: NVMLLibrary.Device) -> JSONValue {
        // The older name, which all libraries have.
        library.call("nvmlDeviceGetCurrentClocksThrottleReasons", as: NVMLLibrary.DeviceWide.self) { f in
            var bits: UInt64 = 0
            return (f(device, &bits), bits)
        }.fact { bits in
            let known = Self.reasons.reduce(UInt64(0)) { $0 | $1.bit }
            var names = Self.reasons.filter { bits & $0.bit != 0 }.map { JSONValue.string($0.name) }
            if bits & ~known != 0 { names.append(.string("bits \(String(bits & ~known, radix: 16))")) }
            return .array(names)
        }
    }
}

/// Critical errors (Xid), as the driver announces them.
private struct NVMLEvents {
    /// Why there are none.
    private(set) var failure: String?
    private let library: NVMLLibrary
    private var set: OpaquePointer?

    /// nvmlEventTypeXidCriticalError.
    private static let critical: UInt64 = 8

    init(_ library: NVMLLibrary, _ devices: [NVMLLibrary.Device]) {
        self.library = library
        let made = library.call("nvmlEventSetCreate", as: NVMLLibrary.EventSetMaker.self) { f in
            var set: OpaquePointer?
            return (f(&set), set)
        }
        switch made {
        case .failed(let reason): failure = reason
        case .value(let value): set = value
        }
        guard let set else { return }
        for device in devices {
            let registered = library.call("nvmlDeviceRegisterEvents", as: NVMLLibrary.EventRegistrar.self) { f in
                (f(device, Self.critical, set), ())
            }
            if case .failed(let reason) = registered { failure = reason }
        }
    }

    /// What came since the last call: the numbers, per device.
    func take() -> [NVMLLibrary.Device: [UInt64]] {
        var found = [NVMLLibrary.Device: [UInt64]]()
        guard let set,
            let wait = library.function("nvmlEventSetWait_v2", as: NVMLLibrary.EventWaiter.self)
        else { return found }
        // A handle, two 64-bit numbers (kind, Xid), two of 32 bits.
        var event = [UInt64](repeating: 0, count: 4)
        for _ in 0..<64 {
            guard event.withUnsafeMutableBytes({ wait(set, $0.baseAddress, 0) }) == 0 else { break }
            guard event[1] == Self.critical, let device = OpaquePointer(bitPattern: UInt(event[0])) else { continue }
            found[device, default: []].append(event[2])
        }
        return found
    }
}
