import CLinux
import DFSModel
import DFSSystem
import Glibc

/// A pseudo-terminal that stands in for the user's as one of a job's output streams, so that programs draw as they do without
/// us, while what they print goes to the log.
///
/// The user's terminal stays the job's controlling terminal and its input: keys, Ctrl-C and job control are between those two.
/// What the job prints is moved to the log by a process of its own (`LogPump`), which outlives the launcher: what reached the
/// kernel is not lost with it.
package final class JobTerminal {
    /// Where the job opens its stream.
    package let path: RawPath
    private let real: Int32
    private let master: OwnedDescriptor
    /// Held so that there is no end before the job has opened it.
    private var slave: OwnedDescriptor?
    private let pump: ChildProcess

    /// `real` is the user's terminal, `log` the file that receives what is printed. `executable` with `arguments` calls
    /// `LogPump.run` with the number of a descriptor and a path.
    package init(real: Int32, log: RawPath, executable: String, arguments: [String]) throws(DFSError) {
        var name = [CChar](repeating: 0, count: 128)
        master = OwnedDescriptor(
            adopting: try System.call("cannot make a terminal for the job") { clinux_terminal(&name, name.count) })
        let raw = master.raw
        let slavePath = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = RawPath(slavePath)
        let slave = try OwnedDescriptor.open(slavePath, O_RDWR | O_NOCTTY)
        self.slave = slave
        self.real = real
        // Newlines go through as they are: it is the user's terminal that turns them into new lines.
        var settings = termios()
        if tcgetattr(slave.raw, &settings) == 0 {
            settings.c_oflag &= ~tcflag_t(OPOST)
            settings.c_lflag &= ~tcflag_t(ECHO)
            _ = tcsetattr(slave.raw, TCSANOW, &settings)
        }
        pump = try ChildProcess.start(
            executable, arguments: arguments + ["\(raw)", NameText.encode(log.bytes)], inherited: [master])
        resize()
    }

    /// Takes over the size of the user's terminal.
    package func resize() {
        var size = winsize()
        guard clinux_ioctl(real, UInt(TIOCGWINSZ), &size) == 0 else { return }
        _ = clinux_ioctl(master.raw, UInt(TIOCSWINSZ), &size)
    }

    /// Called when the job has ended: returns when all that it printed is in the log.
    package func finish() {
        slave = nil
        // It ends when no process has the stream open any more; one that cannot be killed may.
        _ = pump.wait(milliseconds: 10_000)
    }
}
