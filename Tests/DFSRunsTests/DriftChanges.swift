import DFSModel
import DFSRuns

/// For every rule at least one fact that differs, and its class.
enum DriftChanges {
    static let all: [DriftTests.Change] = machine + software + gpu + job

    private static let unknown: JSONValue = ["unknown": "for a reason"]

    private static let machine: [DriftTests.Change] = [
        .init("identity.**", "identity/hostname", "b", .identical),
        .init("volatile.**", "volatile/taken", "2027-01-01T00:00:00Z", .identical),
        .init("stable", "stable", unknown, .crossNumerics),
        .init("job", "job", unknown, .crossNumerics),
        .init("stable.machine", "stable/machine", "sha256:12", .sameNumerics),
        .init("stable.hardware", "stable/hardware", unknown, .crossNumerics),
        .init("stable.hardware.cpu", "stable/hardware/cpu", unknown, .crossNumerics),
        .init("stable.hardware.cpu.vendor", "stable/hardware/cpu/vendor", "AuthenticAMD", .crossNumerics),
        .init("stable.hardware.cpu.model", "stable/hardware/cpu/model", "Xeon 2", .crossNumerics),
        .init("stable.hardware.cpu.family", "stable/hardware/cpu/family", 25, .crossNumerics),
        .init("stable.hardware.cpu.model_number", "stable/hardware/cpu/model_number", 85, .crossNumerics),
        .init("stable.hardware.cpu.flags", "stable/hardware/cpu/flags", ["avx", "avx2", "fma"], .crossNumerics),
        .init(
            "stable.hardware.cpu.flags", "stable/hardware/cpu/flags", ["fma", "avx512f", "avx2", "avx"], .identical),
        .init("stable.hardware.cpu.stepping", "stable/hardware/cpu/stepping", 9, .sameNumerics),
        .init("stable.hardware.cpu.microcode", "stable/hardware/cpu/microcode", "0x2", .sameNumerics),
        .init("stable.hardware.cpu.cores", "stable/hardware/cpu/cores", 16, .crossNumerics),
        .init("stable.hardware.cpu.threads", "stable/hardware/cpu/threads", 32, .crossNumerics),
        .init("stable.hardware.cpu.sockets", "stable/hardware/cpu/sockets", 1, .sameNumerics),
        .init("stable.hardware.memory_bytes", "stable/hardware/memory_bytes", 500_000, .sameNumerics),
        .init("stable.hardware.numa.**", "stable/hardware/numa", [["node": 0, "cpus": "0-63"]], .sameNumerics),
        .init("stable.hardware.virtualisation.**", "stable/hardware/virtualisation/vendor", nil, .sameNumerics),
        .init(
            "stable.hardware.virtualisation.**", "stable/hardware/virtualisation", ["none": "no hint"], .sameNumerics),
        .init("stable.hardware.accelerators", "stable/hardware/accelerators", ["none": "none"], .crossNumerics),
        .init(
            "stable.hardware.accelerators", "stable/hardware/accelerators",
            [["address": "0000:18:00.0", "class": "0x030200", "vendor": "0x10de", "device": "0x2330"]], .identical),
    ]

    private static let software: [DriftTests.Change] = [
        .init("stable.kernel", "stable/kernel", unknown, .crossNumerics),
        .init("stable.kernel.architecture", "stable/kernel/architecture", "aarch64", .incompatible),
        .init("stable.kernel.system", "stable/kernel/system", "Other", .incompatible),
        .init("stable.kernel.*", "stable/kernel/release", "6.2", .sameNumerics),
        .init("stable.os.**", "stable/os/version", "13", .sameNumerics),
        .init("stable.libc", "stable/libc", "glibc 2.41", .crossNumerics),
        .init("stable.packages", "stable/packages", ["none": "no dpkg"], .crossNumerics),
        .init("stable.packages.source", "stable/packages/source", "rpm", .sameNumerics),
        .init("stable.packages.installed", "stable/packages/installed", unknown, .crossNumerics),
        .init(
            "stable.packages.installed.{numeric}", "stable/packages/installed/libopenblas0:amd64", "0.3.29",
            .crossNumerics),
        .init("stable.packages.installed.*", "stable/packages/installed/vim:amd64", nil, .sameNumerics),
        .init("stable.packages.incomplete.**", "stable/packages/incomplete/old:amd64", nil, .sameNumerics),
        .init("stable.python", "stable/python", ["none": "no python"], .crossNumerics),
        .init("stable.python.version", "stable/python/version", "3.11.9", .sameNumerics),
        .init("stable.python.version", "stable/python/version", "3.12.7", .crossNumerics),
        .init("stable.python.distributions", "stable/python/distributions", unknown, .crossNumerics),
        .init(
            "stable.python.distributions.{tools}", "stable/python/distributions/pytest", ["version": "8.1"],
            .sameNumerics),
        .init(
            "stable.python.distributions.*", "stable/python/distributions/numpy", ["version": "2.0.0"], .crossNumerics),
        .init("stable.python.distributions.*", "stable/python/distributions/new", ["version": "1"], .crossNumerics),
        .init("stable.python.conda", "stable/python/conda", unknown, .crossNumerics),
        .init(
            "stable.python.conda.{tools}", "stable/python/conda/pip", ["version": "25", "build": "0"], .sameNumerics),
        .init(
            "stable.python.conda.*", "stable/python/conda/libblas", ["version": "3.9", "build": "mkl"], .crossNumerics),
        .init("stable.python.*", "stable/python/prefix", "/opt/v", .sameNumerics),
    ]

    private static let gpu: [DriftTests.Change] = [
        .init("stable.gpu", "stable/gpu", ["none": "no library"], .incompatible),
        .init("stable.gpu", "stable/gpu", unknown, .crossNumerics),
        .init("stable.gpu.driver", "stable/gpu/driver", "550.90.07", .sameNumerics),
        .init("stable.gpu.driver", "stable/gpu/driver", "535.54.03", .crossNumerics),
        .init("stable.gpu.cuda_driver", "stable/gpu/cuda_driver", "12.2", .crossNumerics),
        .init("stable.gpu.cuda_driver", "stable/gpu/cuda_driver", "13.0", .crossNumerics),
        .init("stable.gpu.cuda_driver", "stable/gpu/cuda_driver", "11.8", .incompatible),
        .init("stable.gpu.nvml", "stable/gpu/nvml", "12.550.90.07", .sameNumerics),
        .init("stable.gpu.devices", "stable/gpu/devices", unknown, .crossNumerics),
        .init("stable.gpu.devices.*", "stable/gpu/devices/1", nil, .incompatible, gpus: 2),
        .init("stable.gpu.devices.*", "stable/gpu/devices/1", unknown, .crossNumerics, gpus: 2),
        device("compute_capability", "8.0", .crossNumerics),
        device("name", "Other card", .crossNumerics),
        device("memory_bytes", 42_760_404_992, .incompatible),
        device("memory_bytes", 84_000_000_000, .sameNumerics),
        device("memory_bytes", 150_754_820_096, .sameNumerics),
        .init("stable.gpu.devices.*.mig.pending", "stable/gpu/devices/0/mig/pending", true, .sameNumerics),
        .init(
            "stable.gpu.devices.*.mig.instances", "stable/gpu/devices/0/mig/instances",
            [["name": "1g.10gb", "multiprocessors": 16]], .crossNumerics),
        .init("stable.gpu.devices.*.mig.**", "stable/gpu/devices/0/mig/current", true, .crossNumerics),
        .init("stable.gpu.devices.*.nvlink.**", "stable/gpu/devices/0/nvlink/active", [true, false], .sameNumerics),
        .init(
            "stable.gpu.devices.*.nvlink.**", "stable/gpu/devices/0/nvlink/active", [true, false], .crossNumerics,
            gpus: 2),
        device("pci", "00000000:18:00.0", .sameNumerics),
        .init("stable.gpu.devices.*.pci", "stable/gpu/devices/0/pci", "00000000:18:00.0", .crossNumerics, gpus: 2),
        device("uuid", "GPU-2", .sameNumerics),
        device("serial", "2", .sameNumerics),
        device("vbios", "96.01", .sameNumerics),
        .init("stable.gpu.devices.*.ecc.**", "stable/gpu/devices/0/ecc/current", false, .sameNumerics),
        device("power_limit_milliwatts", 350_000, .sameNumerics),
        .init("stable.gpu.devices.*.clocks_max_mhz.**", "stable/gpu/devices/0/clocks_max_mhz/sm", 1755, .sameNumerics),
        device("persistence_mode", false, .sameNumerics),
        device("compute_mode", "exclusive process", .sameNumerics),
    ]

    private static func device(_ name: String, _ value: JSONValue, _ expected: DriftClass) -> DriftTests.Change {
        .init("stable.gpu.devices.*.\(name)", "stable/gpu/devices/0/\(name)", value, expected)
    }

    private static let job: [DriftTests.Change] = [
        .init("job.switches", "job/switches", unknown, .crossNumerics),
        .init("job.switches.{quiet}", "job/switches/CUDA_MODULE_LOADING", "EAGER", .sameNumerics),
        .init("job.switches.{threads}", "job/switches/OMP_NUM_THREADS", nil, .crossNumerics),
        .init("job.switches.{kernels}", "job/switches/MKL_CBWR", "AVX512", .crossNumerics),
        .init("job.switches.{precision}", "job/switches/NVIDIA_TF32_OVERRIDE", nil, .crossNumerics),
        .init("job.switches.{collectives}", "job/switches/NCCL_ALGO", "Tree", .crossNumerics),
        .init("job.switches.{devices}", "job/switches/CUDA_VISIBLE_DEVICES", "1", .crossNumerics),
        .init("job.switches.PYTHONHASHSEED", "job/switches/PYTHONHASHSEED", nil, .crossNumerics),
        .init("job.switches.*", "job/switches/LC_ALL", "de_DE.UTF-8", .crossNumerics),
        .init("job.cpus_allowed", "job/cpus_allowed", "0-31", .crossNumerics),
        .init("job.cpus_allowed", "job/cpus_allowed", "64-127", .sameNumerics),
        .init("job.cgroup", "job/cgroup", unknown, .sameNumerics),
        .init("job.cgroup.path", "job/cgroup/path", "/b", .identical),
        .init("job.cgroup.**", "job/cgroup/memory_max_bytes", 2, .sameNumerics),
        .init("job.limits.**", "job/limits/open_files/soft", 2048, .sameNumerics),
        .init("job.container.**", "job/container", ["none": "no hint"], .sameNumerics),
        .init("job.image.**", "job/image/container/name", "y", .sameNumerics),
        .init("job.storage.**", "job/storage/type", "xfs", .sameNumerics),
        .init("job.timezone", "job/timezone", "Europe/Berlin", .sameNumerics),
    ]
}
