/// A published statement on which a class rests. What it says, in words of this project, is in docs/DRIFT.md.
package enum DriftSource: String, Sendable, CaseIterable {
    case cublas, cublasDx, cudnn, cudaCompatibility, cudaBinaries, frameworkReproducibility, mig, nccl
    case numpySIMD, numpyAVX512, numpyRandom, oneDNN, oneDNNDispatch, mkl, openblas, openblasThreads
    case pytorch, pytorchAccuracy, glibc, pythonHash

    package var url: String {
        switch self {
        case .cublas: "https://docs.nvidia.com/cuda/cublas/#results-reproducibility"
        case .cublasDx: "https://docs.nvidia.com/cuda/cublasdx/warnings/bit_identical_sm.html"
        case .cudnn: "https://docs.nvidia.com/deeplearning/cudnn/backend/latest/developer/misc.html"
        case .cudaCompatibility: "https://docs.nvidia.com/deploy/cuda-compatibility/"
        case .cudaBinaries: "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility"
        case .frameworkReproducibility: "https://github.com/NVIDIA/framework-reproducibility/issues/28"
        case .mig: "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/"
        case .nccl: "https://github.com/NVIDIA/nccl/issues/23"
        case .numpySIMD: "https://numpy.org/doc/stable/reference/simd/"
        case .numpyAVX512: "https://github.com/numpy/numpy/issues/23523"
        case .numpyRandom: "https://numpy.org/devdocs/reference/random/compatibility.html"
        case .oneDNN: "https://uxlfoundation.github.io/oneDNN/dev_guide_attributes_deterministic.html"
        case .oneDNNDispatch: "https://oneapi-src.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html"
        case .mkl:
            "https://intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2024-0/reproducibility-conditions.html"
        case .openblas: "https://github.com/OpenMathLib/OpenBLAS/issues/4510"
        case .openblasThreads: "https://github.com/scikit-learn/scikit-learn/issues/18790"
        case .pytorch: "https://docs.pytorch.org/docs/stable/notes/randomness.html"
        case .pytorchAccuracy: "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html"
        case .glibc: "https://sourceware.org/glibc/manual/latest/html_node/Errors-in-Math-Functions.html"
        case .pythonHash: "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED"
        }
    }
}
