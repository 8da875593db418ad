extension DriftRules {
    private static let dispatch =
        "numeric libraries choose their kernels by it: NumPy, oneDNN and MKL by the instruction sets, OpenBLAS by the model"
    private static let order =
        "libraries start as many threads as there are processors, and split sums among them: another order of additions"

    static let hardware = [
        DriftRule("stable.machine", .equal, .sameNumerics, "another machine; what it is made of is compared by itself"),
        DriftRule("stable.hardware", .members, .crossNumerics, "nothing is known of processor and memory"),
        DriftRule("stable.hardware.cpu", .members, .crossNumerics, "nothing is known of the processor"),
        DriftRule(
            "stable.hardware.cpu.vendor", .equal, .crossNumerics, dispatch, [.openblas, .mkl, .numpyRandom]),
        DriftRule("stable.hardware.cpu.model", .equal, .crossNumerics, dispatch, [.openblas, .oneDNN]),
        DriftRule("stable.hardware.cpu.family", .equal, .crossNumerics, dispatch, [.openblas]),
        DriftRule("stable.hardware.cpu.model_number", .equal, .crossNumerics, dispatch, [.openblas]),
        DriftRule(
            "stable.hardware.cpu.flags", .set, .crossNumerics, dispatch,
            [.numpySIMD, .numpyAVX512, .oneDNNDispatch, .mkl]),
        DriftRule(
            "stable.hardware.cpu.stepping", .equal, .sameNumerics,
            "a revision of the same design; no library chooses by it"),
        DriftRule(
            "stable.hardware.cpu.microcode", .equal, .sameNumerics,
            "corrects errors and side channels; no library chooses by it, and an instruction set that it takes away is missing among the flags"
        ),
        DriftRule("stable.hardware.cpu.cores", .equal, .crossNumerics, order, [.mkl, .openblasThreads]),
        DriftRule("stable.hardware.cpu.threads", .equal, .crossNumerics, order, [.mkl, .openblasThreads]),
        DriftRule(
            "stable.hardware.cpu.sockets", .equal, .sameNumerics,
            "where memory lies; how many threads there are is compared by itself"),
        DriftRule(
            "stable.hardware.memory_bytes", .equal, .sameNumerics,
            "arithmetic does not depend on it; less of it may end a job that needed it"),
        DriftRule("stable.hardware.numa.**", .equal, .sameNumerics, "where memory lies and how fast it is"),
        DriftRule(
            "stable.hardware.virtualisation.**", .equal, .sameNumerics, absenceIsKnown: true,
            "the processor that a guest sees is compared by itself"),
        DriftRule(
            "stable.hardware.accelerators", .objects(without: ["address"]), .crossNumerics,
            "results of different processors need not agree; NVIDIA's are compared one by one as well", [.pytorch]),
    ]
}
