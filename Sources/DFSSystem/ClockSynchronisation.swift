import CLinux

/// Whether something (chrony, ntpd, systemd-timesyncd, a hypervisor) keeps the host's clock in step.
package enum ClockSynchronisation: String, Sendable, Hashable, CaseIterable {
    case yes, no, unknown

    /// What adjtimex(2) says now; `unknown` where it may not be asked.
    package static func current() -> ClockSynchronisation {
        switch clinux_clock_synchronised() {
        case 1: .yes
        case 0: .no
        default: .unknown
        }
    }
}
