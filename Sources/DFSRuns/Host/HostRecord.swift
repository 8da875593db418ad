import DFSModel

/// What is known of the machine that a job runs on. docs/HOST.md lists the members and their units.
///
/// Two captures for one job on one host differ in `volatile` only; `stable` is the same bytes for every job that
/// uses the same interpreter, so it is stored once.
package struct HostRecord: Sendable, Equatable {
    package static let format = "dfs.host/1"

    /// Host and user names, to be kept in a salted text.
    package var identity: JSONValue
    /// The machine and the software installed on it.
    package var stable: JSONValue
    /// What holds for this job: limits, control group, switches, storage.
    package var job: JSONValue
    /// What changes from moment to moment.
    package var volatile: JSONValue

    package init(identity: JSONValue, stable: JSONValue, job: JSONValue, volatile: JSONValue) {
        self.identity = identity
        self.stable = stable
        self.job = job
        self.volatile = volatile
    }

    /// The whole record as one JSON object.
    package var value: JSONValue {
        [
            "format": .string(Self.format), "identity": identity, "job": job, "stable": stable, "volatile": volatile,
        ]
    }

    /// Reads what `value` made. A part that the caller has moved elsewhere reads as unknown.
    package init(_ value: JSONValue) throws(DFSError) {
        guard value["format"]?.string == Self.format else {
            throw DFSError(
                .corrupt, "not a host record",
                cause: "format is \(value["format"]?.string ?? "missing"), not \(Self.format)")
        }
        let elsewhere = Fact.unknown("not part of this object")
        identity = value["identity"] ?? elsewhere
        stable = value["stable"] ?? elsewhere
        job = value["job"] ?? elsewhere
        volatile = value["volatile"] ?? elsewhere
    }
}
