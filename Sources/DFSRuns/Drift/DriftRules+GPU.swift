extension DriftRules {
    private static let architecture =
        "NVIDIA promises the same bits on GPUs of the same architecture with as many multiprocessors, and on no others"
    private static let reduction =
        "collective operations add up along the links, in an order that depends on them"
    private static let speed = "how fast it is, not what it computes"
    private static let card = "another card of the same kind computes the same"

    static let gpu = [
        DriftRule(
            "stable.gpu", .members, .crossNumerics, missing: .incompatible, added: .crossNumerics, mustBeKnown: true,
            "results of CPU and GPU need not agree; a job that had a GPU may not run without one", [.pytorch]),
        DriftRule(
            "stable.gpu.driver", .version(parts: 1, beyond: .sameNumerics), .crossNumerics,
            "it compiles PTX for the GPU when there is no machine code for it, and holds a part of the libraries; within a branch only errors are corrected",
            [.cudaCompatibility, .frameworkReproducibility]),
        DriftRule(
            "stable.gpu.cuda_driver", .versionAtLeast(below: .incompatible), .crossNumerics,
            "programs run with a driver of the same major version or a later one; another one compiles PTX differently",
            [.cudaCompatibility]),
        DriftRule("stable.gpu.nvml", .equal, .sameNumerics, "the library that is asked for these facts"),
        DriftRule(
            "stable.gpu.devices", .members, .crossNumerics, mustBeKnown: true, "nothing is known of the GPUs",
            [.pytorch]),
        DriftRule(
            "stable.gpu.devices.*", .members, .crossNumerics, missing: .incompatible, added: .crossNumerics,
            absenceIsKnown: true, mustBeKnown: true,
            "with another number of GPUs work and sums are split differently; with fewer the job may not run",
            [.frameworkReproducibility, .nccl]),
        DriftRule(
            "stable.gpu.devices.*.compute_capability", .equal, .crossNumerics, architecture,
            [.cublas, .cublasDx, .cudnn, .cudaBinaries]),
        DriftRule(
            "stable.gpu.devices.*.name", .equal, .crossNumerics,
            architecture
                + "; the record does not count those of a whole GPU, so another product is taken to have others",
            [.cublas, .cudnn]),
        DriftRule(
            "stable.gpu.devices.*.memory_bytes", .atLeast(percent: 95, otherwise: .sameNumerics), .incompatible,
            "what fitted may fit no more; small differences are what driver and ECC reserve"),
        DriftRule("stable.gpu.devices.*.mig.pending", .equal, .sameNumerics, "holds from the next reset on"),
        DriftRule(
            "stable.gpu.devices.*.mig.instances", .objects(without: ["uuid"]), .crossNumerics,
            "an instance has some of the multiprocessors and of the memory", [.cublas, .mig]),
        DriftRule(
            "stable.gpu.devices.*.mig.**", .equal, .crossNumerics,
            "an instance has some of the multiprocessors and of the memory", [.cublas, .mig]),
        DriftRule(
            "stable.gpu.devices.*.nvlink.**", .equal, .crossNumerics, withOneGPU: .sameNumerics, reduction, [.nccl]),
        DriftRule(
            "stable.gpu.devices.*.pci", .equal, .crossNumerics, withOneGPU: .sameNumerics,
            "the order in which GPUs are numbered and linked follows it", [.nccl]),
        DriftRule("stable.gpu.devices.*.uuid", .equal, .sameNumerics, card, [.cublas]),
        DriftRule("stable.gpu.devices.*.serial", .equal, .sameNumerics, card, [.cublas]),
        DriftRule(
            "stable.gpu.devices.*.vbios", .equal, .sameNumerics, "firmware that starts the card and sets its limits"),
        DriftRule(
            "stable.gpu.devices.*.ecc.**", .equal, .sameNumerics,
            "corrects memory; arithmetic is the same with and without"),
        DriftRule("stable.gpu.devices.*.power_limit_milliwatts", .equal, .sameNumerics, speed),
        DriftRule("stable.gpu.devices.*.clocks_max_mhz.**", .equal, .sameNumerics, speed),
        DriftRule("stable.gpu.devices.*.persistence_mode", .equal, .sameNumerics, "how long the driver stays loaded"),
        DriftRule("stable.gpu.devices.*.compute_mode", .equal, .sameNumerics, "how many processes may use the card"),
    ]
}
