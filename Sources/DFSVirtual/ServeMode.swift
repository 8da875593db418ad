/// How a mount serves regular files.
package enum ServeMode: String, Sendable, CaseIterable {
    /// Opens are answered, and the kernel reads from a local file where there is one with the same bytes.
    case passthrough
    /// The kernel never asks when a file is opened, and keeps what it has read.
    case stateless
    /// Opens are answered; the kernel keeps what it has read.
    case plain
}

/// A way of serving and the reason for it.
package struct Serving: Sendable, Equatable {
    package var mode: ServeMode
    package var why: String
    /// Whether it was chosen by this program: then it may choose another where the kernel refuses.
    package var isAutomatic: Bool

    package init(mode: ServeMode, why: String, isAutomatic: Bool = false) {
        self.mode = mode
        self.why = why
        self.isAutomatic = isAutomatic
    }

    /// What becomes of it when the kernel does not read files itself, for `reason`.
    package func withoutPassthrough(_ reason: String) -> Serving {
        guard mode == .passthrough else { return self }
        return Serving(
            mode: isAutomatic ? .stateless : .plain, why: "no passthrough: \(reason)", isAutomatic: isAutomatic)
    }
}
