import DFSModel

/// Environment variables that change results or their order. Only these are recorded with their values:
/// others may hold secrets.
enum DeterminismSwitches {
    static let names = [
        "BLIS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING",
        "CUDA_MODULE_LOADING", "CUDA_VISIBLE_DEVICES", "CUDNN_DETERMINISTIC", "GOTO_NUM_THREADS",
        "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "JAX_PLATFORMS", "KMP_AFFINITY",
        "KMP_DETERMINISTIC_REDUCTION",
        "LANG", "LC_ALL", "LC_NUMERIC", "MALLOC_PERTURB_", "MKL_CBWR", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS",
        "MKL_NUM_THREADS", "NCCL_ALGO", "NCCL_IB_DISABLE", "NCCL_NTHREADS", "NCCL_P2P_DISABLE", "NCCL_PROTO",
        "NCCL_SHM_DISABLE", "NPY_DISABLE_CPU_FEATURES", "NUMEXPR_NUM_THREADS", "NVIDIA_TF32_OVERRIDE",
        "NVIDIA_VISIBLE_DEVICES", "OMP_DYNAMIC", "OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND", "OMP_SCHEDULE",
        "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "PL_GLOBAL_SEED", "PYTHONHASHSEED", "PYTHONNOUSERSITE",
        "PYTHONOPTIMIZE", "PYTHONUTF8", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "RAYON_NUM_THREADS",
        "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "TZ",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_CUDNN_V8_API_DISABLED", "TORCH_NCCL_AVOID_RECORD_STREAMS",
        "VECLIB_MAXIMUM_THREADS", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE",
    ]

    /// A variable that is set to nothing is not the same as one that is not set.
    static func capture(_ environment: [String: String]) -> JSONValue {
        var members = [String: JSONValue]()
        for name in names {
            guard let value = environment[name] else { continue }
            if !EnvironmentRecord.secrets(name, value).isEmpty {
                members[name] = Fact.unknown("its value looks like a secret")
            } else {
                members[name] = value.isEmpty ? Fact.none("set to an empty text") : .string(value)
            }
        }
        return Fact.map(members, orNone: "none of the \(names.count) known switches is set")
    }
}
