/// Members of a host record that matter more, or less, than others of their kind, by their names.
package enum NameGroup: String, Sendable, CaseIterable {
    /// Debian packages that compute: BLAS, LAPACK, C and Fortran runtimes, CUDA and its libraries, FFT, image codecs.
    case numeric
    /// Python distributions and conda packages that install, check, format or print, and compute nothing.
    case tools
    /// Switches that set how many threads there are, and how work is shared out among them.
    case threads
    /// Switches that choose among kernels of a processor.
    case kernels
    /// Switches that choose among algorithms and precisions on a GPU.
    case precision
    /// Switches of collective operations.
    case collectives
    /// Switches that choose devices.
    case devices
    /// Switches that decide when or where something is done, not what is computed.
    case quiet

    /// Beginnings of names for `numeric` and `collectives`, whole names for the others.
    package var names: [String] {
        switch self {
        case .numeric: Self.numericPackages
        case .tools: Self.toolPackages
        case .threads:
            [
                "BLIS_NUM_THREADS", "GOTO_NUM_THREADS", "KMP_AFFINITY", "KMP_DETERMINISTIC_REDUCTION", "MKL_DYNAMIC",
                "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_DYNAMIC", "OMP_NUM_THREADS", "OMP_PLACES",
                "OMP_PROC_BIND", "OMP_SCHEDULE", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
            ]
        case .kernels:
            [
                "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE",
                "TF_ENABLE_ONEDNN_OPTS",
            ]
        case .precision:
            [
                "CUBLAS_WORKSPACE_CONFIG", "CUDNN_DETERMINISTIC", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64",
                "NVIDIA_TF32_OVERRIDE", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE", "TF_DETERMINISTIC_OPS",
                "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_CUDNN_V8_API_DISABLED", "XLA_FLAGS",
            ]
        case .collectives: ["NCCL_"]
        case .devices: ["CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "NVIDIA_VISIBLE_DEVICES"]
        case .quiet:
            [
                "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "PYTHONNOUSERSITE", "PYTHONUTF8",
                "TORCH_NCCL_AVOID_RECORD_STREAMS", "TZ", "XLA_PYTHON_CLIENT_PREALLOCATE",
            ]
        }
    }

    func holds(_ name: String) -> Bool {
        switch self {
        case .numeric, .collectives: names.contains { name.hasPrefix($0) }
        case .tools: names.contains(Self.normalised(name))
        default: names.contains(name)
        }
    }

    /// Python writes one name in several ways: `Mypy_Extensions` is `mypy-extensions`.
    private static func normalised(_ name: String) -> String {
        String(name.lowercased().map { $0 == "_" || $0 == "." ? "-" : $0 })
    }

    private static let numericPackages = [
        "cuda-", "cudnn", "intel-mkl", "intel-oneapi", "libarmadillo", "libarpack", "libatlas", "libblas", "libblis",
        "libc6", "libceres", "libcublas", "libcuda", "libcudart", "libcudnn", "libcufft", "libcurand", "libcusolver",
        "libcusparse", "libdnnl", "libeigen", "libfftw", "libflame", "libgcc-s", "libgfortran", "libgmp", "libgomp",
        "libgsl", "libhdf5", "libjpeg", "liblapack", "libmkl", "libmpfi", "libmpfr", "libnccl", "libnpp",
        "libnvidia-", "libnvinfer", "libomp", "libopenblas", "libopencv", "libopenmpi", "libpng", "libscalapack",
        "libsleef", "libstdc++", "libsuitesparse", "libtbb", "libtiff", "libtorch", "libwebp", "nvidia-",
        "python3-numpy", "python3-pandas", "python3-pil", "python3-scipy", "python3-sklearn", "python3-torch", "rocm",
    ]

    private static let toolPackages = [
        "black", "build", "click", "colorama", "coverage", "flake8", "hatch", "hatchling", "iniconfig", "isort", "jedi",
        "mypy", "mypy-extensions", "nodeenv", "packaging", "pip", "pip-tools", "pipx", "pluggy", "pre-commit",
        "prompt-toolkit", "pycodestyle", "pyflakes", "pygments", "pylint", "pyproject-hooks", "pyright", "pytest",
        "pytest-cov", "pytest-timeout", "pytest-xdist", "rich", "ruff", "setuptools", "tqdm", "twine", "uv",
        "virtualenv", "wheel",
    ]
}
