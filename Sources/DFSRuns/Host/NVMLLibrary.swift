import DFSModel
import Glibc

/// The NVIDIA management library, loaded at run time: no header and no link dependency.
///
/// Types are facts of its binary interface: handles are pointers, results `int`, 0 is success.
struct NVMLLibrary {
    typealias Device = OpaquePointer
    typealias Plain = @convention(c) () -> Int32
    typealias SystemText = @convention(c) (UnsafeMutablePointer<CChar>, UInt32) -> Int32
    typealias SystemNumber = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
    typealias DeviceAt = @convention(c) (UInt32, UnsafeMutablePointer<Device?>) -> Int32
    typealias DeviceText = @convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    typealias DeviceNumber = @convention(c) (Device, UnsafeMutablePointer<UInt32>) -> Int32
    typealias DevicePair = @convention(c) (Device, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> Int32
    typealias DeviceIndexed = @convention(c) (Device, UInt32, UnsafeMutablePointer<UInt32>) -> Int32
    typealias DeviceChild = @convention(c) (Device, UInt32, UnsafeMutablePointer<Device?>) -> Int32
    typealias DeviceBytes = @convention(c) (Device, UnsafeMutableRawPointer) -> Int32
    typealias DeviceCounter = @convention(c) (Device, UInt32, UInt32, UnsafeMutablePointer<UInt64>) -> Int32
    typealias DeviceList = @convention(c) (Device, UnsafeMutablePointer<UInt32>, UnsafeMutableRawPointer?) -> Int32
    typealias DeviceWide = @convention(c) (Device, UnsafeMutablePointer<UInt64>) -> Int32
    typealias DeviceSamples =
        @convention(c) (
            Device, UInt32, UInt64, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>, UnsafeMutableRawPointer?
        ) -> Int32
    typealias EventSetMaker = @convention(c) (UnsafeMutablePointer<OpaquePointer?>) -> Int32
    typealias EventRegistrar = @convention(c) (Device, UInt64, OpaquePointer) -> Int32
    typealias EventWaiter = @convention(c) (OpaquePointer, UnsafeMutableRawPointer?, UInt32) -> Int32
    typealias ErrorText = @convention(c) (Int32) -> UnsafePointer<CChar>?

    /// A value, or why there is none.
    enum Reading<Value> {
        case value(Value)
        case failed(String)

        func fact(_ json: (Value) -> JSONValue) -> JSONValue {
            switch self {
            case .value(let value): json(value)
            case .failed(let reason): Fact.unknown(reason)
            }
        }
    }

    /// The result codes that are told apart.
    static let insufficientSize: Int32 = 7, notFound: Int32 = 6, invalidArgument: Int32 = 2

    private let handle: UnsafeMutableRawPointer

    /// dlopen(3); the library stays loaded until the process ends.
    static func load(_ name: String) -> Reading<NVMLLibrary> {
        guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
            return .failed(dlerror().map { String(cString: $0) } ?? "dlopen of \(name) failed")
        }
        return .value(NVMLLibrary(handle: handle))
    }

    /// The function of that name. `type` must be its true type.
    func function<T>(_ name: String, as type: T.Type) -> T? {
        dlsym(handle, name).map { unsafeBitCast($0, to: type) }
    }

    /// Calls the function `name` through `body`, which returns its result code.
    func call<T, Value>(_ name: String, as type: T.Type, _ body: (T) -> (Int32, Value)) -> Reading<Value> {
        guard let function = function(name, as: type) else { return .failed("\(name) is not in this library") }
        let (code, value) = body(function)
        return code == 0 ? .value(value) : .failed(text(of: code))
    }

    func text(of code: Int32) -> String {
        let text = function("nvmlErrorString", as: ErrorText.self)?(code).map { String(cString: $0) }
        guard let text, !text.isEmpty else { return "NVML error \(code)" }
        return text
    }

    var deviceCount: Reading<UInt32> {
        call("nvmlDeviceGetCount_v2", as: SystemNumber.self) { f in
            var value: UInt32 = 0
            return (f(&value), value)
        }
    }

    func systemText(_ name: String) -> JSONValue {
        string(name, call(name, as: SystemText.self) { f in Self.filled { f($0, 256) } })
    }

    func deviceText(_ name: String, _ device: Device) -> JSONValue {
        string(name, call(name, as: DeviceText.self) { f in Self.filled { f(device, $0, 256) } })
    }

    func number(_ name: String, _ device: Device) -> Reading<UInt32> {
        call(name, as: DeviceNumber.self) { f in
            var value: UInt32 = 0
            return (f(device, &value), value)
        }
    }

    func number(_ name: String, _ device: Device, _ argument: UInt32) -> Reading<UInt32> {
        call(name, as: DeviceIndexed.self) { f in
            var value: UInt32 = 0
            return (f(device, argument, &value), value)
        }
    }

    func pair(_ name: String, _ device: Device) -> Reading<(UInt32, UInt32)> {
        call(name, as: DevicePair.self) { f in
            var first: UInt32 = 0
            var second: UInt32 = 0
            let code = f(device, &first, &second)
            return (code, (first, second))
        }
    }

    /// The bytes of a structure that the library fills.
    func structure(_ name: String, _ device: Device, size: Int) -> Reading<[UInt8]> {
        call(name, as: DeviceBytes.self) { f in
            // Aligned for 64-bit fields, and roomier than the structure in case a later library writes more.
            var words = [UInt64](repeating: 0, count: (size + 7) / 8 + 64)
            let code = words.withUnsafeMutableBytes { $0.baseAddress.map { f(device, $0) } ?? -1 }
            return (code, words.withUnsafeBytes { Array($0.prefix(size)) })
        }
    }

    private func string(_ name: String, _ reading: Reading<String>) -> JSONValue {
        reading.fact { Fact.text($0, orUnknown: "\(name) answered with an empty text") }
    }

    private static func filled(_ call: (UnsafeMutablePointer<CChar>) -> Int32) -> (Int32, String) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 257) { buffer in
            buffer.initialize(repeating: 0)
            guard let start = buffer.baseAddress else { return (-1, "") }
            let code = call(start)
            return (code, code == 0 ? String(cString: start) : "")
        }
    }
}
