import ArgumentParser
import DFSLedger
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// What `--serve` takes.
enum ServeChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, passthrough, stateless, plain
}

/// What a way of serving is chosen by.
struct ServingFacts: Sendable {
    /// CAP_SYS_ADMIN, and not only in a user namespace of one's own.
    var isPrivileged: Bool
    var kernel: KernelVersion
    /// In the latest versions of all datasets.
    var files: UInt64
    var bytes: UInt64

    /// With passthrough an open and its release cost some 0.1 ms of requests; reading so many bytes takes ten times that,
    /// so that what is lost is less than what the kernel's own reading gains.
    static let largeMean: UInt64 = 8 << 20
    static let passthroughKernel = KernelVersion(major: 6, minor: 9)

    /// The way that `asked` leads to. Whether the kernel agrees shows when the mount begins.
    func serving(_ asked: ServeChoice) -> Serving {
        if let mode = ServeMode(rawValue: asked.rawValue) { return Serving(mode: mode, why: "asked for") }
        func stateless(_ why: String) -> Serving { Serving(mode: .stateless, why: why, isAutomatic: true) }
        guard files > 0 else { return stateless("there are no files yet") }
        let mean = "the latest versions' files have \(ByteCount(bytes / files)) on average"
        guard bytes / files >= Self.largeMean else { return stateless("\(mean): opens must cost nothing") }
        if let obstacle = passthroughObstacle { return stateless("\(mean), but \(obstacle)") }
        return Serving(mode: .passthrough, why: "\(mean): the kernel reads them itself", isAutomatic: true)
    }

    /// Why the kernel would not read files by itself; `nil` when it would.
    var passthroughObstacle: String? {
        if !isPrivileged { return "passthrough needs CAP_SYS_ADMIN" }
        if kernel < Self.passthroughKernel {
            return "passthrough needs Linux \(Self.passthroughKernel), this is \(kernel)"
        }
        return nil
    }

    init(isPrivileged: Bool, kernel: KernelVersion, files: UInt64, bytes: UInt64) {
        self.isPrivileged = isPrivileged
        self.kernel = kernel
        self.files = files
        self.bytes = bytes
    }

    /// Those of this process and a store.
    init(_ state: LedgerState) {
        let latest = state.datasets.values.compactMap(\.latest)
        self.init(
            isPrivileged: Self.hasPrivilege(), kernel: KernelVersion.running(),
            files: latest.reduce(into: 0) { $0 &+= $1.tree.files },
            bytes: latest.reduce(into: 0) { $0 &+= $1.tree.bytes })
    }

    static func hasPrivilege() -> Bool {
        func lines(_ path: String) -> [Substring] {
            String(decoding: (try? Files.read(path, limit: 1 << 16)) ?? [], as: UTF8.self).split(separator: "\n")
        }
        // A user namespace maps fewer users than there are.
        guard lines("/proc/self/uid_map").first?.split(separator: " ").last == "4294967295",
            let line = lines("/proc/self/status").first(where: { $0.hasPrefix("CapEff:") }),
            let set = line.split(separator: "\t").last.flatMap({ UInt64($0, radix: 16) })
        else { return false }
        return set >> 21 & 1 == 1
    }
}

struct KernelVersion: Comparable, Sendable, CustomStringConvertible {
    var major: Int
    var minor: Int

    static func < (a: KernelVersion, b: KernelVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }

    var description: String { "\(major).\(minor)" }

    /// Reads `6.18.44-fc`; 0.0 when it is no version.
    static func parse(_ release: String) -> KernelVersion {
        let numbers = release.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
        return KernelVersion(major: numbers.first ?? 0, minor: numbers.count > 1 ? numbers[1] : 0)
    }

    static func running() -> KernelVersion {
        let text = (try? Files.read("/proc/sys/kernel/osrelease", limit: 4096)) ?? []
        return parse(String(decoding: text, as: UTF8.self))
    }
}
