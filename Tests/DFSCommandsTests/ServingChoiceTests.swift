import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

@testable import DFSCommands

@Suite struct ServingChoiceTests {
    private struct Row: Sendable {
        var asked: ServeChoice
        var isPrivileged: Bool
        var kernel: String
        var files: UInt64
        var bytes: UInt64
        var mode: ServeMode
        var why: String
    }

    private static let rows = [
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.18.44-fc", files: 2, bytes: 4 << 30, mode: .passthrough,
            why: "2.0 GiB on average: the kernel reads them itself"),
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.9.0", files: 100, bytes: 800 << 20, mode: .passthrough,
            why: "8.0 MiB on average"),
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.9.0", files: 101, bytes: 800 << 20, mode: .stateless,
            why: "opens must cost nothing"),
        Row(
            asked: .auto, isPrivileged: false, kernel: "6.18.44", files: 1, bytes: 4 << 30, mode: .stateless,
            why: "CAP_SYS_ADMIN"),
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.1.0-49-amd64", files: 1, bytes: 4 << 30, mode: .stateless,
            why: "Linux 6.9, this is 6.1"),
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.18.0", files: 50_000, bytes: 500 << 20, mode: .stateless,
            why: "10.2 KiB on average"),
        Row(
            asked: .auto, isPrivileged: true, kernel: "6.18.0", files: 0, bytes: 0, mode: .stateless,
            why: "no files yet"),
        Row(
            asked: .passthrough, isPrivileged: false, kernel: "5.10", files: 0, bytes: 0, mode: .passthrough,
            why: "asked for"),
        Row(
            asked: .plain, isPrivileged: true, kernel: "6.18.0", files: 1, bytes: 4 << 30, mode: .plain,
            why: "asked for"),
        Row(
            asked: .stateless, isPrivileged: true, kernel: "6.18.0", files: 1, bytes: 4 << 30, mode: .stateless,
            why: "asked for"),
    ]

    @Test func theTable() {
        for row in Self.rows {
            let facts = ServingFacts(
                isPrivileged: row.isPrivileged, kernel: .parse(row.kernel), files: row.files, bytes: row.bytes)
            let serving = facts.serving(row.asked)
            #expect(serving.mode == row.mode && serving.why.contains(row.why), "\(row): \(serving)")
            #expect(serving.isAutomatic == (row.asked == .auto))
        }
    }

    @Test func whatTheKernelRefusesLeadsElsewhere() {
        func serving(_ isAutomatic: Bool, _ mode: ServeMode = .passthrough) -> Serving {
            Serving(mode: mode, why: "w", isAutomatic: isAutomatic)
        }
        #expect(
            serving(true).withoutPassthrough("x")
                == .init(mode: .stateless, why: "no passthrough: x", isAutomatic: true))
        #expect(serving(false).withoutPassthrough("x").mode == .plain)
        #expect(serving(false, .stateless).withoutPassthrough("x") == serving(false, .stateless))
    }

    @Test func versionsOfKernels() {
        #expect(KernelVersion.parse("6.18.44-fc-v669") == KernelVersion(major: 6, minor: 18))
        #expect(KernelVersion.parse("6.1-rc3") == KernelVersion(major: 6, minor: 1))
        #expect(KernelVersion.parse("odd") == KernelVersion(major: 0, minor: 0))
        #expect(KernelVersion.running() > KernelVersion(major: 2, minor: 0))
    }
}

extension PlayWithMounts {
    /// `dfs mount --serve` and `dfs warm`.
    @Suite struct ServePlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        private func mount(_ options: String..., body: (String) throws -> Void) throws {
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            let started = try stage.start("dfs", ["mount"] + options + [mount]).wait()
            try #require(started.code == 0, "\(started.errorText)")
            defer { _ = try? stage.dfs("umount", mount) }
            try body(mount)
        }

        private func text(_ count: Int) -> [UInt8] {
            var generator = SeededGenerator(seed: 3)
            var out = [UInt8]()
            while out.count < count { out += Array("row \(out.count) \(generator.next() % 1000)\n".utf8) }
            return Array(out.prefix(count))
        }

        @Test(arguments: ["stateless", "plain", "passthrough"]) func everyWayShowsTheSame(way: String) throws {
            let bytes = text(3_000_000)
            try stage.directory.write("data/rows", bytes)
            try stage.directory.write("data/sub/small", "small")
            try stage.done("commit", "d", stage.directory.sub("data"))
            try mount("--serve", way) { mount in
                let view = mount + "/datasets/d/v1"
                #expect(try stage.shell("diff -r \(stage.directory.sub("data")) \(view) && echo same") == "same")
                let row = try stage.json("mounts")
                #expect(row["stats"]?["content"]?["bytes_decompressed"]?.integer ?? 0 > 0)
                guard geteuid() == 0, KernelVersion.running() >= ServingFacts.passthroughKernel || way != "passthrough"
                else { return }
                #expect(row["serve"]?.string == way && row["why"]?.string == "asked for", "\(row)")
                guard way == "passthrough" else { return }
                // Read as a whole and opened again: soon the kernel has a copy of its own.
                Stage.eventually("a hot copy") {
                    try #require(try Files.read(view + "/rows") == bytes)
                    return try stage.json("mounts")["stats"]?["passthrough_opens"]?.integer ?? 0 > 0
                }
                #expect(try stage.json("mounts")["stats"]?["content"]?["hot_files_made"]?.integer == 1)
            }
            try stage.expectNothingLeft()
        }

        @Test func theChoiceIsTold() throws {
            try stage.directory.write("data/x", "x")
            try stage.done("commit", "d", stage.directory.sub("data"))
            try mount { _ in
                let row = try stage.json("mounts")
                #expect(row["serve"]?.string == "stateless")
                #expect(try #require(row["why"]?.string).contains("on average: opens must cost nothing"))
                #expect(try stage.done("mounts").contains("WHY"))
            }
            let wrong = try stage.dfs("mount", "--serve", "fast")
            #expect(wrong.code == 64)
        }

        @Test func warm() throws {
            try stage.directory.write("data/sub/rows", text(2_000_000))
            try stage.directory.write("data/small", "small")
            try stage.done("commit", "d", stage.directory.sub("data"))
            let all = try stage.json("warm", "d")
            #expect(all["schema"]?.string == "dfs.warm/1" && all["reference"]?.string == "d@v1", "\(all)")
            #expect(all["files"]?.integer == 2 && all["bytes"]?.integer == 2_000_005)
            let canPass = geteuid() == 0 && KernelVersion.running() >= ServingFacts.passthroughKernel
            #expect(all["hot"]?["made"]?.integer == (canPass ? 1 : 0))
            let part = try stage.json("warm", "d/small")
            #expect(part["files"]?.integer == 1 && part["cached_bytes"]?.integer ?? 0 > 0)
            #expect(try stage.done("warm", "d").hasPrefix("d@v1  2 files, 1.9 MiB: "))
            let unknown = try stage.dfs("warm", "nothing")
            #expect(unknown.code == 11)
            let odd = try stage.start("dfs", ["warm", "d"], variables: ["DFS_CACHE_LIMIT": "much"]).wait()
            #expect(odd.code == 64 && odd.errorText.contains("DFS_CACHE_LIMIT"), "\(odd.errorText)")
        }
    }
}
