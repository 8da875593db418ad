extension DriftRules {
    static let job = switches + limits

    private static let switches = [
        DriftRule("job.switches", .members, .crossNumerics, "nothing is known of the switches"),
        DriftRule(
            "job.switches.{quiet}", .equal, .sameNumerics, absenceIsKnown: true,
            "decides when or where work is done, or what is kept, not what is computed"),
        DriftRule(
            "job.switches.{threads}", .equal, .crossNumerics, absenceIsKnown: true,
            "sets how many threads there are and how sums are split among them: another order of additions",
            [.mkl, .openblasThreads]),
        DriftRule(
            "job.switches.{kernels}", .equal, .crossNumerics, absenceIsKnown: true,
            "chooses among the kernels of a library", [.mkl, .numpySIMD, .openblas]),
        DriftRule(
            "job.switches.{precision}", .equal, .crossNumerics, absenceIsKnown: true,
            "chooses algorithms, work spaces or precisions (TF32) on the GPU", [.cublas, .cudnn, .pytorchAccuracy]),
        DriftRule(
            "job.switches.{collectives}", .equal, .crossNumerics, absenceIsKnown: true,
            "chooses how values of several GPUs are added up", [.nccl]),
        DriftRule(
            "job.switches.{devices}", .equal, .crossNumerics, absenceIsKnown: true,
            "chooses which devices, and how many, the job sees", [.frameworkReproducibility, .pytorch]),
        DriftRule(
            "job.switches.PYTHONHASHSEED", .equal, .crossNumerics, absenceIsKnown: true,
            "decides the order of sets, and with it of whatever goes over one", [.pythonHash]),
        DriftRule(
            "job.switches.*", .equal, .crossNumerics, absenceIsKnown: true,
            "is recorded because it can change results: seeds, precisions, the order of names, uninitialised memory"),
    ]

    private static let bound = "a limit ends a job or slows it down, and does not change what it computes"

    private static let limits = [
        DriftRule(
            "job.cpus_allowed", .processors(otherwise: .sameNumerics), .crossNumerics,
            "libraries start as many threads as there are allowed processors: another order of additions",
            [.mkl, .openblasThreads]),
        DriftRule("job.cgroup", .members, .sameNumerics, "nothing is known of the control group"),
        DriftRule("job.cgroup.path", .ignored, .identical, "a name that differs from session to session"),
        DriftRule("job.cgroup.**", .equal, .sameNumerics, bound),
        DriftRule("job.limits.**", .equal, .sameNumerics, absenceIsKnown: true, bound),
        DriftRule(
            "job.container.**", .equal, .sameNumerics, absenceIsKnown: true,
            "what is in a container is compared by itself: packages, Python, libraries"),
        DriftRule(
            "job.image.**", .equal, .sameNumerics, absenceIsKnown: true,
            "a name for what is in it; packages, Python and libraries are compared by themselves"),
        DriftRule("job.storage.**", .equal, .sameNumerics, "where files lie, not what is in them"),
        DriftRule("job.timezone", .equal, .sameNumerics, "changes what is printed of times"),
    ]
}
