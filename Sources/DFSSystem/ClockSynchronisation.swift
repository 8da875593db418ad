import CLinux

/// Whether something (chrony, ntpd, systemd-timesyncd, a hypervisor) keeps the host's clock in step.
package enum ClockSynchronisation: String, Sendable, Hashable, CaseIterable {
    case yes, no, unknown

    /// What adjtimex(2) says now; `unknown` where it may not be asked.
    package static func current() -> ClockSynchronisation {
        var isSynchronised: Int32 = 0
        var offset = 0, error = 0
        guard clinux_clock_state(&isSynchronised, &offset, &error) == 0 else { return .unknown }
        return isSynchronised != 0 ? .yes : .no
    }
}
