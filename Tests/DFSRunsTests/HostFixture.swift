import DFSModel
import DFSRuns
import DFSSystem
import Testing

/// Host records to compare: recorded ones, and ones made from what others published; each file says which it is.
enum HostFixture {
    static let folder = Scratch.fixtures + "/hosts"

    static func file(_ name: String) throws -> JSONValue {
        try JSONValue.parse(try #require(try Files.read("\(folder)/\(name).json")))
    }

    static func host(_ name: String) throws -> JSONValue { try #require(try file(name)["host"]) }

    static func names() throws -> [String] {
        try DirectoryListing.names(of: folder).map { String(decoding: $0.dropLast(5), as: UTF8.self) }.sorted()
    }

    /// A record in which everything is known, with as many GPUs as asked for.
    static func complete(gpus: Int = 1) throws -> JSONValue {
        let device = """
            {"name":"Card","uuid":"GPU-1","serial":"1","vbios":"96.00","pci":"00000000:17:00.0","compute_capability":"9.0",
            "memory_bytes":85520809984,"ecc":{"current":true,"pending":true},
            "mig":{"current":false,"pending":false,"instances":{"none":"MIG is disabled"}},"persistence_mode":true,
            "compute_mode":"default","power_limit_milliwatts":700000,
            "clocks_max_mhz":{"graphics":1980,"sm":1980,"memory":2619},"nvlink":{"active":[true,true]}}
            """
        return try JSONValue.parse(
            """
            {"format":"dfs.host/1","identity":{"hostname":"a","user":"u"},
            "stable":{"machine":"sha256:11",
            "hardware":{"cpu":{"vendor":"GenuineIntel","model":"Xeon","family":6,"model_number":143,"stepping":8,
            "microcode":"0x1","sockets":2,"cores":32,"threads":64,"flags":["avx","avx2","avx512f","fma"]},
            "memory_bytes":1000000,"numa":[{"node":0,"cpus":"0-31"},{"node":1,"cpus":"32-63"}],
            "virtualisation":{"vendor":"QEMU"},
            "accelerators":[{"address":"0000:17:00.0","class":"0x030200","vendor":"0x10de","device":"0x2330"}]},
            "kernel":{"system":"Linux","architecture":"x86_64","release":"6.1","version":"#1","cmdline":"sha256:22"},
            "os":{"id":"debian","version":"12","name":"Debian 12","debian_version":"12.11"},"libc":"glibc 2.36",
            "packages":{"source":"dpkg","installed":{"libopenblas0:amd64":"0.3.21","vim:amd64":"9.0"},
            "incomplete":{"old:amd64":"config-files"}},
            "python":{"found_through":"argument 0","executable":"~/v/bin/python","version":"3.11.7","prefix":"~/v",
            "base_prefix":"/usr","virtual_environment":true,"sees_system_packages":false,"site_directories":["~/v/lib"],
            "distributions":{"numpy":{"version":"1.26.4"},"pytest":{"version":"8.0"}},
            "conda":{"libblas":{"version":"3.9","build":"openblas"},"pip":{"version":"24","build":"0"}}},
            "gpu":{"driver":"550.54.14","cuda_driver":"12.4","nvml":"12.550.54.14","devices":[
            \(Array(repeating: device, count: gpus).joined(separator: ","))]}},
            "job":{"limits":{"open_files":{"soft":1024,"hard":4096}},"cpus_allowed":"0-63",
            "cgroup":{"path":"/a","memory_max_bytes":1,"cpu_max":"max"},"container":{"docker":"/.dockerenv"},
            "image":{"container":{"name":"x"}},"switches":{"OMP_NUM_THREADS":"8","PYTHONHASHSEED":"0","NCCL_ALGO":"Ring",
            "MKL_CBWR":"AVX2","NVIDIA_TF32_OVERRIDE":"0","CUDA_VISIBLE_DEVICES":"0","CUDA_MODULE_LOADING":"LAZY",
            "LANG":"C"},"storage":{"type":"ext4","bytes":100},"timezone":"Etc/UTC"},
            "volatile":{"taken":"2026-11-26T00:00:00Z"}}
            """)
    }
}

extension JSONValue {
    /// With another value at a path, whose parts are names or places; `nil` takes the member away.
    func replacing(_ path: [String], with value: JSONValue?) -> JSONValue {
        guard let first = path.first else { return value ?? .null }
        let rest = Array(path.dropFirst())
        switch self {
        case .array(var elements):
            guard let place = Int(first), elements.indices.contains(place) else { return self }
            if rest.isEmpty, value == nil {
                elements.remove(at: place)
            } else {
                elements[place] = elements[place].replacing(rest, with: value)
            }
            return .array(elements)
        default:
            var members = object ?? [:]
            members[first] = rest.isEmpty ? value : (members[first] ?? [:]).replacing(rest, with: value)
            return .object(members)
        }
    }
}
