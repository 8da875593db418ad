import Glibc
import Synchronization

/// What is said on standard error: whole lines, and one line of progress below them that is drawn over.
///
/// Never fails: where nobody listens there is nothing to say.
package final class Talk: Sendable {
    package let isTerminal: Bool
    package let style: Style
    let descriptor: Int32
    /// Holds whether a progress line stands on the terminal.
    private let drawn = Mutex(false)

    /// Whether this process has a progress line on its terminal; read by the signal handler.
    static let lineIsDrawn = Atomic<Bool>(false)

    package init(descriptor: Int32, isTerminal: Bool, style: Style) {
        self.descriptor = descriptor
        self.isTerminal = isTerminal
        self.style = style
    }

    /// Writes `text` and a line end, in place of a progress line.
    package func line(_ text: String) {
        drawn.withLock { drawn in
            send((drawn ? Self.erasing : "") + text + "\n")
            drawn = false
            Self.lineIsDrawn.store(false, ordering: .relaxed)
        }
    }

    /// Draws or redraws the progress line. `text` is one line no wider than the terminal.
    func draw(_ text: String) {
        drawn.withLock { drawn in
            drawn = true
            Self.lineIsDrawn.store(true, ordering: .relaxed)
            send(Self.erasing + text)
        }
    }

    func erase() {
        drawn.withLock { drawn in
            guard drawn else { return }
            send(Self.erasing)
            drawn = false
            Self.lineIsDrawn.store(false, ordering: .relaxed)
        }
    }

    private static let erasing = "\r\u{1b}[K"

    private func send(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let written = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            if written <= 0 { return }
            done += written
        }
    }
}
