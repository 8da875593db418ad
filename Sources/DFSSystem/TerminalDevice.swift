import CLinux
import Glibc

/// What a descriptor says of the terminal behind it.
package enum TerminalDevice {
    package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The width in columns; `nil` when it is no terminal or one that does not know.
    package static func columns(_ descriptor: Int32) -> Int? {
        var size = winsize()
        guard clinux_ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
