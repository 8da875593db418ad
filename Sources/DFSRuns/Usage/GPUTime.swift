import DFSModel

/// GPU time of a run: reserved (visible devices × time) and busy (their utilisation × time).
package struct GPUTime: Sendable, Equatable {
    /// Why there is nothing to reserve.
    package var absence: String?
    /// Why the numbers are not known.
    package var failure: String?
    package var devices = 0
    package var doubt: String?
    package private(set) var reservedMilliseconds: Int64 = 0
    private var busy = 0.0
    private var covered: Int64 = 0
    private var lastReading: Int64 = 0
    private var samples = 0
    private var silentReason: String?

    package init() {}

    /// Time in which the devices were the job's, from the start of the job.
    package mutating func reserve(until milliseconds: Int64) { reservedMilliseconds = Int64(devices) * milliseconds }

    /// Utilisation (percent) of the visible devices since the last reading; `nil` of one that does not tell.
    package mutating func read(at milliseconds: Int64, _ percents: [Double?], reason: String?) {
        let time = max(0, milliseconds - lastReading)
        lastReading = max(lastReading, milliseconds)
        guard time > 0 else { return }
        samples += 1
        for percent in percents {
            guard let percent else {
                silentReason = silentReason ?? reason
                continue
            }
            busy += percent / 100 * Double(time)
            covered += time
        }
    }

    package var busyMilliseconds: Int64 { Int64(busy.rounded()) }

    /// Nothing was ever read of what was reserved.
    private var isBlind: Bool { devices > 0 && covered == 0 }

    /// docs/HOST.md, "While it runs".
    package var json: JSONValue {
        if let absence { return Fact.none(absence) }
        if let failure, devices == 0 { return Fact.unknown(failure) }
        var members: [String: JSONValue] = [
            "devices": .integer(Int64(devices)), "reserved_milliseconds": .integer(reservedMilliseconds),
            "readings": .integer(Int64(samples)), "read_milliseconds": .integer(covered),
            "busy_milliseconds": isBlind
                ? Fact.unknown(silentReason ?? failure ?? "the job ended before the first reading")
                : .integer(busyMilliseconds),
        ]
        if let doubt { members["doubt"] = .string(doubt) }
        if let failure { members["incomplete"] = .string(failure) }
        return .object(members)
    }

    package var words: String { Self.words(json) }

    /// `GPU-hours 0.41 busy of 1.00 reserved`, of what a record has.
    package static func words(_ json: JSONValue) -> String {
        if json["none"] != nil { return "GPU none" }
        guard let reserved = json["reserved_milliseconds"]?.integer else { return "GPU-hours unknown" }
        if json["devices"] == 0 { return "GPU-hours 0 reserved" }
        guard let busy = json["busy_milliseconds"]?.integer else {
            return "GPU-hours \(hours(reserved)) reserved, busy unknown"
        }
        return "GPU-hours \(hours(busy)) busy of \(hours(reserved)) reserved"
    }

    /// Two digits behind the point; below a tenth of an hour four.
    static func hours(_ milliseconds: Int64) -> String {
        let digits: Int64 = milliseconds < 360_000 ? 10_000 : 100
        let value = (milliseconds * digits + 1_800_000) / 3_600_000
        let fraction = String(value % digits + digits).dropFirst()
        return "\(value / digits).\(fraction)"
    }
}
