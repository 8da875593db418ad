extension DriftRules {
    static let system = [
        DriftRule("stable.kernel", .members, .crossNumerics, "nothing is known of the kernel"),
        DriftRule(
            "stable.kernel.architecture", .equal, .incompatible, "programs of one architecture do not run on another"),
        DriftRule("stable.kernel.system", .equal, .incompatible, "programs of one system do not run on another"),
        DriftRule(
            "stable.kernel.*", .equal, .sameNumerics,
            "a kernel saves and restores floating-point state and computes nothing of the job's"),
        DriftRule(
            "stable.os.**", .equal, .sameNumerics, "a name; its packages and C library are compared by themselves"),
        DriftRule(
            "stable.libc", .equal, .crossNumerics,
            "its mathematical functions are not correctly rounded, and their errors differ between releases and architectures",
            [.glibc]),
        DriftRule(
            "stable.packages", .members, .crossNumerics,
            "of systems without dpkg nothing is known of the libraries that compute"),
        DriftRule(
            "stable.packages.source", .equal, .sameNumerics, "how packages are recorded"),
        DriftRule(
            "stable.packages.installed", .members, .crossNumerics, "nothing is known of the system's packages"),
        DriftRule(
            "stable.packages.installed.{numeric}", .equal, .crossNumerics, absenceIsKnown: true,
            "a library that computes: another version may take other kernels", [.pytorch, .cublas, .cudnn, .glibc]),
        DriftRule(
            "stable.packages.installed.*", .equal, .sameNumerics, absenceIsKnown: true,
            "a system package that is not known to compute"),
        DriftRule(
            "stable.packages.incomplete.**", .equal, .sameNumerics, absenceIsKnown: true,
            "packages that are not installed"),
    ]
}
