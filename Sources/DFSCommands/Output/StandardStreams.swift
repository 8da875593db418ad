import DFSSystem

/// The three descriptors of a process and what is behind them.
package struct StandardStreams: Sendable {
    package var input: Int32
    package var output: Int32
    package var error: Int32
    package var outputIsTerminal: Bool
    package var errorIsTerminal: Bool

    package init(input: Int32 = 0, output: Int32 = 1, error: Int32 = 2) {
        self.input = input
        self.output = output
        self.error = error
        outputIsTerminal = TerminalDevice.isTerminal(output)
        errorIsTerminal = TerminalDevice.isTerminal(error)
    }

    /// 0, 1 and 2.
    package static var ofProcess: StandardStreams { StandardStreams() }
}
