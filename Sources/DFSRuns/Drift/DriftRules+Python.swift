extension DriftRules {
    private static let place = "where it lies; its version and packages are compared by themselves"

    static let python = [
        DriftRule(
            "stable.python", .members, .crossNumerics, "nothing is known of the job's Python, or it has none",
            [.pytorch]),
        DriftRule(
            "stable.python.version", .version(parts: 2, beyond: .sameNumerics), .crossNumerics,
            "another feature release may change algorithms of the standard library, and needs other builds of every package; within one only errors are corrected",
            [.numpyRandom]),
        DriftRule("stable.python.distributions", .members, .crossNumerics, "nothing is known of the job's packages"),
        DriftRule(
            "stable.python.distributions.{tools}", .equal, .sameNumerics, absenceIsKnown: true,
            "a package that computes nothing"),
        DriftRule(
            "stable.python.distributions.*", .equal, .crossNumerics, absenceIsKnown: true,
            "the same bits are promised for one release of a library only; a package of which nothing is known is taken for one that computes",
            [.pytorch, .numpyRandom, .cublas]),
        DriftRule("stable.python.conda", .members, .crossNumerics, "nothing is known of the environment's packages"),
        DriftRule(
            "stable.python.conda.{tools}", .equal, .sameNumerics, absenceIsKnown: true,
            "a package that computes nothing"),
        DriftRule(
            "stable.python.conda.*", .equal, .crossNumerics, absenceIsKnown: true,
            "as of distributions; the build also names the BLAS that NumPy is built for", [.pytorch, .numpyRandom]),
        DriftRule("stable.python.*", .equal, .sameNumerics, place),
    ]
}
