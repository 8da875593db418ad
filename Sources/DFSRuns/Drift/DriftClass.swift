/// How far results may differ between two machines, from nothing to no result at all. docs/DRIFT.md says why.
package enum DriftClass: String, Sendable, CaseIterable, Comparable {
    /// Nothing that was compared differs.
    case identical
    /// What differs takes no part in arithmetic: the same bits are to be expected of a deterministic job.
    case sameNumerics = "same-numerics"
    /// Other kernels, other orders of additions or other libraries: results may differ in their last digits, and from
    /// there on.
    case crossNumerics = "cross-numerics"
    /// Something the run had is not there: the job may not run at all.
    case incompatible

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static func < (a: DriftClass, b: DriftClass) -> Bool { a.rank < b.rank }
}
