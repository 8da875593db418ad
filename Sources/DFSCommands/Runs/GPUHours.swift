import DFSModel

/// GPU-hours of a result.
enum GPUHours {
    /// `0.41 busy of 1.00 reserved`; `nil` where none were recorded.
    static func of(_ result: JSONValue) -> String? {
        let gpu = result["usage"]?["gpu-time"]
        guard let reserved = gpu?["reserved_milliseconds"]?.integer else { return nil }
        let busy = gpu?["busy_milliseconds"]?.integer.map { hours($0) + " busy of " } ?? ""
        return busy + hours(reserved) + " reserved"
    }

    private static func hours(_ milliseconds: Int64) -> String { MetricText.of(Double(milliseconds) / 3_600_000) }
}
