import DFSModel
import DFSSystem
import Glibc

/// Asks for the GPUs in a child process, which is given up when it does not answer.
package enum GPUProbe {
    static let soname = "libnvidia-ml.so.1"

    package struct Answer: Sendable, Equatable {
        package let stable: JSONValue
        package let volatile: JSONValue

        init(stable: JSONValue, volatile: JSONValue) {
            self.stable = stable
            self.volatile = volatile
        }

        init(whole fact: JSONValue) { self.init(stable: fact, volatile: fact) }
    }

    /// Runs `helper`, which prints what `NVML.captureJSON` returns, and kills it after `milliseconds`.
    package static func capture(
        helper: [String], environment: [String: String], milliseconds: Int = 5000
    ) -> Answer {
        let outcome: CapturedCommand.Outcome
        do {
            outcome = try CapturedCommand.run(
                helper, environment: environment, milliseconds: milliseconds, outputLimit: 1 << 24)
        } catch {
            return Answer(whole: Fact.unknown("\(error.what): \(error.cause ?? "no cause given")"))
        }
        if outcome.end == .timedOut {
            let limit = milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
            return Answer(whole: Fact.unknown("timed out after \(limit)"))
        }
        guard outcome.succeeded else { return Answer(whole: Fact.unknown("the probe failed: \(outcome.complaint)")) }
        guard let value = try? JSONValue.parse(outcome.output), value["format"] == "dfs.nvml/1",
            let stable = value["stable"], let volatile = value["volatile"]
        else { return Answer(whole: Fact.unknown("the probe did not print a dfs.nvml/1 object")) }
        return Answer(stable: stable, volatile: volatile)
    }

    /// What a host without the library is said to have.
    static func absent(devices: String = "/dev") -> Answer {
        let names = (try? DirectoryListing.names(of: devices)) ?? []
        let nodes = names.map { String(decoding: $0, as: UTF8.self) }.filter { $0.hasPrefix("nvidia") }
        if let first = nodes.first {
            return Answer(whole: Fact.unknown("\(soname) not found, though there is /dev/\(first)"))
        }
        return Answer(whole: Fact.none("\(soname) not found, no /dev/nvidia*"))
    }

    /// What dlopen(3) should be given; `nil` when no library is where the loader and NVIDIA's containers look.
    package static func findLibrary(_ override: String? = nil, environment: [String: String]) -> String? {
        if let override { return Files.exists(override) ? override : nil }
        let listed = (environment["LD_LIBRARY_PATH"] ?? "").split(separator: ":").map(String.init)
        let usual = [
            "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64",
            "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib",
        ]
        for directory in listed + usual where Files.exists(directory + "/" + soname) {
            return directory + "/" + soname
        }
        return loaderKnows() ? soname : nil
    }

    /// Whether the loader's cache names the library.
    private static func loaderKnows() -> Bool {
        guard let cache = try? Files.read("/etc/ld.so.cache", limit: 1 << 26) else { return false }
        let wanted = Array(soname.utf8) + [0]
        return cache.withUnsafeBytes { cache in
            guard let base = cache.baseAddress else { return false }
            var start = 0
            while start + wanted.count <= cache.count {
                // The name's first letter is frequent in the cache's binary part too, but not much.
                let room = cache.count - start - wanted.count + 1
                guard let found = memchr(base + start, Int32(wanted[0]), room) else { return false }
                if memcmp(found, wanted, wanted.count) == 0 { return true }
                start = base.distance(to: UnsafeRawPointer(found)) + 1
            }
            return false
        }
    }
}
