import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Readings of the GPUs from a process of its own (`NVMLWatch`), which ends with this value. For one thread.
///
/// Never waits for the driver longer than told: a process that hangs is given up, and why is in `failure`.
package final class GPUWatch {
    private let child: ChildProcess
    private var asking: OwnedDescriptor?
    private let answering: OwnedDescriptor
    private var pending = [UInt8]()
    private var asked = 0
    /// What the devices are, as NVMLWatch describes them; `nil` before it has said so.
    package private(set) var devices: [JSONValue]?
    /// What `nvidia-smi -q -x` printed, or why it did not; `nil` before it has.
    package private(set) var report: JSONValue?
    /// Why there are no readings any more.
    package private(set) var failure: String?

    /// `helper` is a program and its arguments, to which the library, `watch` and a descriptor are added.
    package init(helper: [String], library: String) throws(DFSError) {
        let (input, asking) = try Self.pipe()
        let (answering, output) = try Self.pipe()
        child = try ChildProcess.start(
            helper.first ?? "", arguments: helper + [library, "watch", String(input.raw)], output: output,
            inherited: [input])
        _ = clinux_fcntl(answering.raw, F_SETFL, Int(O_NONBLOCK))
        _ = clinux_fcntl(asking.raw, F_SETFL, Int(O_NONBLOCK))
        self.asking = asking
        self.answering = answering
    }

    private static func pipe() throws(DFSError) -> (reading: OwnedDescriptor, writing: OwnedDescriptor) {
        var ends: [Int32] = [-1, -1]
        try System.call("cannot make a pipe") { clinux_pipe(&ends) }
        return (OwnedDescriptor(adopting: ends[0]), OwnedDescriptor(adopting: ends[1]))
    }

    /// How many questions may be open before the process is taken for stuck.
    private static let patience = 8

    /// Asks for a reading.
    package func ask() {
        guard failure == nil, let asking else { return }
        if asked >= Self.patience { return give("the driver has not answered \(asked) questions") }
        do throws(DFSError) {
            try Files.write([0x0a], to: asking.raw, what: "the reader of the GPUs")
            asked += 1
        } catch { give("the process that reads the GPUs has ended") }
    }

    /// The readings that have come, oldest first, each one value per device. Waits for one at most `milliseconds`.
    package func take(milliseconds: Int32 = 0) -> [[JSONValue]] {
        var readings = [[JSONValue]]()
        let deadline = Clock.monotonic() + UInt64(max(0, milliseconds)) * 1_000_000
        while failure == nil {
            receive(&readings)
            let now = Clock.monotonic()
            guard failure == nil, readings.isEmpty, asked > 0, now < deadline else { break }
            var set = [pollfd(fd: answering.raw, events: Int16(POLLIN), revents: 0)]
            _ = poll(&set, 1, Int32((deadline - now) / 1_000_000 + 1))
        }
        return readings
    }

    private func receive(_ readings: inout [[JSONValue]]) {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = read(answering.raw, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count == 0 { give("the process that reads the GPUs has ended") }
            guard count > 0 else { break }
            pending += buffer[..<count]
        }
        while let end = pending.firstIndex(of: 0x0a) {
            let line = Array(pending[..<end])
            pending.removeFirst(end + 1)
            // A library may write something of its own.
            guard let value = try? JSONValue.parse(line) else { continue }
            if let report = value["nvidia-smi"] { self.report = report }
            guard let listed = value["devices"] else { continue }
            if let reason = listed["unknown"]?.string { give(reason) }
            guard let list = listed.array else { continue }
            if value["format"] != nil {
                devices = list
            } else {
                asked = max(0, asked - 1)
                readings.append(list)
            }
        }
    }

    /// The first reason stays.
    private func give(_ reason: String) {
        if failure == nil { failure = reason }
        kill(child.pid, SIGKILL)
    }

    /// Ends the process. One that is stuck in the driver is left behind: nothing else can be done about it.
    package func end() {
        asking = nil
        guard !child.wait(milliseconds: failure == nil ? 100 : 10) else { return }
        kill(child.pid, SIGKILL)
        _ = child.wait(milliseconds: 50)
    }
}
