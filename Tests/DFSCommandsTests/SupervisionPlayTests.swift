import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// A mount whose server dies, stops or loses its supervisor. That no reader ever sees a wrong byte while servers are
    /// killed is the harness's `servers`.
    @Suite struct SupervisionPlayTests {
        private let stage: Stage

        init() throws {
            stage = try Stage()
            for i in 0..<40 { try stage.directory.write("data/deep/f\(i)", "content of \(i)\n") }
            try stage.directory.write("data/large", String(repeating: "line\n", count: 200_000))
            try stage.done("commit", "x", stage.directory.sub("data"))
        }

        private func process(_ member: String) throws -> pid_t {
            try #require(try stage.json("mounts")[member]?.integer.map { pid_t($0) })
        }

        private func killServer() throws {
            let server = try process("pid")
            try #require(kill(server, SIGKILL) == 0)
            Stage.eventually("the end of process \(server)") { kill(server, 0) != 0 }
        }

        private func dropCaches() {
            guard let file = try? OwnedDescriptor.open("/proc/sys/vm/drop_caches", O_WRONLY) else { return }
            try? Files.write(Array("2".utf8), to: file.raw, what: "caches")
        }

        @Test func whatIsOpenGoesOn() throws {
            try stage.mounted { mount in
                let version = mount + "/datasets/x/v1"
                let paths = [
                    "", "/datasets/x/latest", "/datasets/x/v1", "/datasets/x/v1/deep", "/datasets/x/v1/deep/f7",
                ]
                func inodes() throws -> [UInt64] {
                    try paths.map { try #require(try FileStatus.of(path: mount + $0)).inode }
                }
                let before = try inodes()
                let folder = try OwnedDescriptor.open(version + "/deep", O_RDONLY | O_DIRECTORY)
                let file = try OwnedDescriptor.open(version + "/large", O_RDONLY)
                var start = [UInt8](repeating: 0, count: 5)
                try #require(read(file.raw, &start, 5) == 5)
                for _ in 0..<3 {
                    try killServer()
                    dropCaches()
                    #expect(try inodes() == before)
                    let inside = try OwnedDescriptor.open("f3", O_RDONLY, at: folder.raw)
                    #expect(String(decoding: try Files.read(inside, what: "f3"), as: UTF8.self) == "content of 3\n")
                }
                let rest = try Files.read(file, what: "large")
                #expect(start + rest == Array(String(repeating: "line\n", count: 200_000).utf8))
                #expect(try stage.shell("diff -r data \(version) && echo same") == "same")
                let row = try stage.json("mounts")
                #expect(row["restarts"] == 3 && row["restart_reason"] == "it was killed by signal 9", "\(row)")
                #expect(row["restarted"]?.string != nil && row["state"] == "serving")
            }
            try stage.expectNothingLeft()
        }

        @Test func aFollowedLogGoesOn() throws {
            try stage.mounted { mount in
                let go = stage.directory.sub("go")
                let job = try stage.start(
                    "dfs-run", ["--", "sh", "-c", "echo one; until [ -e \(go) ]; do sleep 0.05; done; echo two"])
                var log = ""
                Stage.eventually("the log") {
                    log = mount + "/runs/" + (Files.linkTarget(mount + "/runs/latest") ?? "") + "/logs/stdout"
                    return try stage.text(log) == "one\n"
                }
                let followed = try OwnedDescriptor.open(log, O_RDONLY)
                #expect(try Files.read(followed, what: "the log") == Array("one\n".utf8))
                try killServer()
                try stage.directory.write("go", "")
                #expect(try job.wait().code == 0)
                #expect(try Files.read(followed, what: "the log") == Array("two\n".utf8))
            }
            try stage.expectNothingLeft()
        }

        @Test func aStoppedServerIsReplaced() throws {
            try stage.mounted { mount in
                let server = try process("pid")
                try #require(kill(server, SIGSTOP) == 0)
                dropCaches()
                #expect(try stage.shell("diff -r data \(mount)/datasets/x/v1 && echo same") == "same")
                let row = try stage.json("mounts")
                #expect(row["pid"]?.integer != Int64(server) && row["restart_reason"] == "it was stopped", "\(row)")
                // Whoever cannot wait asks for it.
                try #require(kill(try process("pid"), SIGSTOP) == 0)
                #expect(try stage.done("mount", mount) == mount + "\n")
                #expect(try stage.json("mounts")["restarts"] == 2)
            }
            try stage.expectNothingLeft()
        }

        @Test func withoutASupervisorTheServerGoesOn() throws {
            try stage.mounted { mount in
                try #require(kill(try process("supervisor"), SIGKILL) == 0)
                Stage.eventually("the end of the supervisor") { try stage.json("mounts")["supervisor"] == .null }
                #expect(try stage.text(mount + "/datasets/x/v1/deep/f1") == "content of 1\n")
                #expect(try stage.done("mounts").contains("serving, unsupervised"))
                #expect(try stage.dfs("doctor").outputText.contains("no supervisor would replace its server"))
                try killServer()
                #expect(try stage.json("mounts")["state"] == "dead")
                try stage.done("mount", mount)
                #expect(try stage.text(mount + "/datasets/x/v1/deep/f1") == "content of 1\n")
                #expect(try stage.json("mounts")["restarts"] == 0)
            }
            try stage.expectNothingLeft()
        }

        /// Both stopped: nobody answers, and nobody sees that. `dfs mount` does.
        @Test func whatHangsIsReplacedByAMount() throws {
            try stage.mounted { mount in
                for member in ["supervisor", "pid"] { try #require(kill(try process(member), SIGSTOP) == 0) }
                try stage.done("mount", mount)
                #expect(try stage.text(mount + "/datasets/x/v1/deep/f1") == "content of 1\n")
            }
            try stage.expectNothingLeft()
        }

        /// Its answers take long, but its server says that all is well; played by a `stat` that hangs.
        @Test(.enabled(if: geteuid() == 0)) func whatIsSlowIsLeftAlone() throws {
            try stage.mounted { mount in
                try stage.directory.write("slow", "#!/bin/sh\nexec sleep 30\n", mode: 0o755)
                let script = "mount --bind \(stage.directory.sub("slow")) /usr/bin/stat; exec \"$0\" mount \(mount)"
                let before = try stage.json("mounts")
                let end = try stage.start(
                    "/usr/bin/unshare", ["-m", "sh", "-ec", script, SpawnedProgram.products + "/dfs"]
                ).wait()
                #expect(end.code != 0 && end.errorText.contains("is a mount already"), "\(end.errorText)")
                let after = try stage.json("mounts")
                #expect(after["pid"] == before["pid"] && after["supervisor"] == before["supervisor"], "\(after)")
            }
            try stage.expectNothingLeft()
        }

        @Test func whatIsDeadIsRepaired() throws {
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            try stage.done("mount", mount)
            for member in ["supervisor", "pid"] { try #require(kill(try process(member), SIGKILL) == 0) }
            Stage.eventually("the end") { try stage.json("mounts")["state"] == "dead" }
            #expect(try stage.dfs("doctor").outputText.contains("nobody serves it"))
            #expect(try stage.dfs("doctor", "--repair").outputText.contains("taken away"))
            #expect(try stage.done("mounts", "--json").isEmpty)
            try stage.expectNothingLeft()
        }

        @Test func everyWayOfUnmountingEndsBoth() throws {
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            let ways: [(pid_t, pid_t) throws -> Void] = [
                { _, _ in try stage.shell("umount \(mount)") }, { server, _ in kill(server, SIGTERM) },
                { _, supervisor in kill(supervisor, SIGTERM) }, { _, _ in try stage.done("umount", "--lazy", mount) },
            ]
            for way in ways {
                try stage.done("mount", mount)
                try way(try process("pid"), try process("supervisor"))
                try stage.expectNothingLeft()
                #expect(try stage.done("mounts", "--json").isEmpty)
            }
        }

        /// A kernel that does not give a request twice: who waited gets an error, and the mount is back.
        @Test func withoutResendingTheMountIsMadeAnew() throws {
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            try stage.done("mount", "--no-resend", mount)
            let server = try process("pid")
            // Stopped first, so that the reader's request is taken or waits when it dies.
            kill(server, SIGSTOP)
            let reader = try stage.start("/bin/cat", [mount + "/datasets/x/v1/large"])
            kill(server, SIGKILL)
            let end = try reader.wait()
            let large = try Files.read(stage.directory.sub("data/large"))
            #expect(end.code != 0 || end.output == large)
            Stage.eventually("the mount") { try stage.text(mount + "/datasets/x/v1/deep/f1") == "content of 1\n" }
            #expect(try stage.json("mounts")["restarts"]?.integer ?? 0 > 0)
            try stage.done("umount", mount)
            try stage.expectNothingLeft()
        }

        /// Given up while nobody uses it: the empty directory below is never seen, and the mount is back with the store.
        @Test func anIdleMountThatIsGivenUpStaysInSight() throws {
            let mount = stage.directory.sub("mnt"), away = stage.directory.sub("away")
            try Files.makeDirectories(mount)
            try stage.done("mount", "--no-resend", mount)
            try #require(rename(stage.store, away) == 0)
            try killServer()
            Stage.eventually("the giving up") { try stage.json("mounts")["state"] == "broken" }
            #expect(try stage.mounts() == [mount])
            var capacity = statvfs()
            #expect(statvfs(mount, &capacity) != 0)
            try #require(rename(away, stage.store) == 0)
            Stage.eventually("the mount") { try stage.text(mount + "/datasets/x/v1/deep/f1") == "content of 1\n" }
            #expect(try stage.mounts() == [mount])
            try stage.done("umount", mount)
            try stage.expectNothingLeft()
        }

        /// A supervisor that cannot mount anew, as the place is not empty, is ended all the same.
        @Test func unmountingEndsASupervisorBetweenMounts() throws {
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            let below = try OwnedDescriptor.open(mount, O_RDONLY | O_DIRECTORY)
            try stage.done("mount", "--no-resend", mount)
            let supervisor = try process("supervisor")
            _ = try OwnedDescriptor.open("obstacle", O_WRONLY | O_CREAT, at: below.raw)
            try killServer()
            Stage.eventually("the end of the mount") { try stage.mounts().isEmpty }
            try #require(kill(supervisor, 0) == 0)
            try stage.done("umount", mount)
            try stage.expectNothingLeft()
            #expect(try stage.done("mounts", "--json").isEmpty)
            #expect(try stage.dfs("umount", mount).code == 11)
        }
    }
}
