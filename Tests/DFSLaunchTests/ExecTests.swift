import CLinux
import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Testing

extension ProcessTests {
    @Suite struct ExecTests {
        @Test(arguments: User.available)
        func exitCodesAndSignals(user: User) throws {
            let s = try Sandbox(user)
            #expect(try s.run(s.plan("exit 7")).result?.ending == .exited(7))
            #expect(try s.run(s.plan("kill -SEGV $$")).result?.ending == .signalled(SIGSEGV))
            #expect(try s.run(s.plan("kill -PIPE $$")).result?.exitStatus == 128 + SIGPIPE)
            #expect(try s.run(s.plan("exit 123")).result?.exitStatus == 123, "not taken for a failure of ours")
        }

        @Test(arguments: User.available)
        func commandsThatCannotBeRun(user: User) throws {
            let s = try Sandbox(user)
            try s.write("#!/no/such/interpreter\n", to: "/bin/broken", mode: 0o755)
            try s.write("#!/bin/sh\n", to: "/bin/plain", mode: 0o644)
            try s.write("echo no shebang", to: "/bin/bare", mode: 0o755)
            var plan = s.plan("")
            plan.environment = [Array("PATH=/usr/bin:\(s.base)/bin".utf8)]
            func failure(_ command: String) throws -> EnterFailure? {
                plan.arguments = [Array(command.utf8)]
                return try s.run(plan).failure
            }
            for name in ["broken", s.base + "/bin/broken", "plain", s.base + "/bin/plain", s.base] {
                let failure = try failure(name)
                #expect(failure?.stage == .command)
                #expect(failure?.exitCode == 126, "\(name)")
            }
            for name in ["no-such-command", s.base + "/none", "", s.base + "/bin/plain/x"] {
                #expect(try failure(name)?.exitCode == 127, "\(name)")
            }
            #expect(try failure("no-such-command")?.error.description.split(separator: "\n").count == 3)
            #expect(try failure("bare") == nil, "executed by the shell, as execvp does")
        }

        @Test(arguments: User.available)
        func theCommandIsLookedForInTheView(user: User) throws {
            let s = try Sandbox(user)
            try s.write("#!/bin/sh\necho found $1 $X\n", to: "/data/tool", mode: 0o755)
            let root: RawPath = "/dfs-test-deepops"
            var plan = s.plan(
                "",
                steps: [.skeleton(at: root), .bind(source: RawPath(s.data), at: root.appending("bin"), .readOnly)])
            plan.environment = [Array("PATH=/dfs-test-deepops/bin:/bin".utf8), Array("X=y".utf8)]
            plan.arguments = [Array("tool".utf8), Array("argument".utf8)]
            #expect(try s.output(plan) == "found argument y\n")
        }

        @Test(arguments: User.available)
        func theJobsSurroundings(user: User) throws {
            let s = try Sandbox(user)
            try s.write("from stdin\n", to: "/input")
            let here = try s.directory("/deep/er")
            var plan = s.plan("pwd; id -u; id -g; env | sort; cat; ls /proc/self/fd; printf %s \"$1\" | od -An -tx1")
            plan.workingDirectory = RawPath(here)
            plan.environment = [Array("A=1".utf8), Array("B=x=".utf8) + [0xfe], Array("PATH=/usr/bin:/bin".utf8)]
            plan.arguments += [Array("sh".utf8), [0x25, 0xff, 0x0a, 0x41]]
            let wrapper = ["sh", "-c", "exec \"$0\" \"$@\" < \(s.base)/input"]
            let outcome = try s.run(plan, wrapper: wrapper)
            #expect(outcome.result?.exitStatus == 0)
            let out = try Files.read(s.base + "/logs/stdout") ?? []
            let lines = out.split(separator: UInt8(ascii: "\n")).map { Array($0) }
            let expected: [[UInt8]] = [
                Array(here.utf8), Array("\(user.uid)".utf8), Array("\(user.gid)".utf8), Array("A=1".utf8),
                Array("B=x=".utf8) + [0xfe], Array("PATH=/usr/bin:/bin".utf8), Array("PWD=\(here)".utf8),
                Array("from stdin".utf8),
            ]
            #expect(Array(lines.prefix(8)) == expected)
            // Of descriptors those that this process would leave to any child, and the directory that ls has open.
            let open = lines.dropFirst(8).dropLast().compactMap { Int32(String(decoding: $0, as: UTF8.self)) }
            let free = (3...).first { clinux_fcntl($0, F_GETFD, 0) != 0 }
            #expect(Set(open) == Set((0..<256).filter { clinux_fcntl($0, F_GETFD, 0) == 0 } + [free]))
            #expect(lines.last.map { String(decoding: $0, as: UTF8.self) } == " 25 ff 0a 41")
        }

        @Test func withoutANamespace() throws {
            let s = try Sandbox(User.available[0])
            var plan = s.plan("readlink /proc/self/ns/mnt")
            plan.namespace = .none
            #expect(try s.output(plan) == (JobProcesses.ownNamespace ?? "") + "\n")
            plan.steps = [.directory("/dfs-test")]
            #expect(try s.run(plan).failure?.stage == .plan)
        }

        @Test(.enabled(if: geteuid() == 0)) func rootCanStartAJobAsAnotherUser() throws {
            let s = try Sandbox(.root)
            #expect(chown(s.outputs, 65534, 65534) == 0)
            let root: RawPath = "/dfs-test-deepops"
            let mask = umask(0o077)
            defer { umask(mask) }
            var plan = s.plan(
                "id -u; id -g; id -G; cat /dfs-test-deepops/d/a.txt; touch /dfs-test-deepops/o/x; grep CapEff /proc/$$/status",
                steps: [
                    .skeleton(at: root), .bind(source: RawPath(s.data), at: root.appending("d"), .readOnly),
                    .bind(source: RawPath(s.outputs), at: root.appending("o"), .writable),
                ])
            (plan.uid, plan.gid) = (65534, 65534)
            #expect(try s.output(plan) == "65534\n65534\n65534\none\nCapEff:\t0000000000000000\n")
            #expect(try FileStatus.of(path: s.outputs + "/x")?.uid == 65534)
        }

        @Test(arguments: User.available)
        func failuresBeforeTheJob(user: User) throws {
            let s = try Sandbox(user)
            var plan = s.plan("true")
            plan.workingDirectory = RawPath(s.base + "/none")
            #expect(try s.run(plan).failure?.stage == .directory)
            plan.workingDirectory = "/"
            plan.standardOutput = RawPath(s.base + "/none/log")
            let failure = try s.run(plan).failure
            #expect(failure?.stage == .log)
            #expect(failure?.exitCode == 125)
            let missing = Supervisor(executable: "/no/such/program", arguments: ["x"])
            #expect(throws: DFSError.self) { try missing.run(plan) }
            let silent = Supervisor(executable: "/bin/false", arguments: ["false"])
            #expect(try silent.run(plan).failure?.exitCode == 125)
        }

        @Test func plansSurviveJSON() throws {
            let s = try Sandbox(User.available[0])
            let odd: [UInt8] = [0x2f, 0x80, 0x25, 0x22]
            var plan = s.plan(
                "x",
                steps: [
                    .skeleton(at: RawPath(odd)), .directory("/a"), .symlink("/a/b", target: [0xff, 0x2e, 0x2e]),
                    .bind(source: "/x", at: "/y", .readOnly), .bind(source: "/x", at: "/y", .writable),
                    .bind(source: "/x", at: "/y", .scratch),
                    .overlay(at: "/p", lower: ["/l1", "/l2"], layer: "/u"),
                    .visible(real: "/p", at: "/p", paths: [[0xff], Array("a/b".utf8)]),
                ])
            (plan.parent, plan.status, plan.avoidsNewCalls) = (7, 8, true)
            let bytes = plan.json.canonicalBytes
            #expect(try EnterPlan(json: try JSONValue.parse(bytes)) == plan)
            plan.standardError = nil
            #expect(try EnterPlan(json: plan.json) == plan)
            for bad in ["relative", "/a/../b", "/a//b", "/a/", "/a/./b", ""] {
                plan.steps = [.skeleton(at: RawPath(bad))]
                #expect(throws: DFSError.self, "\(bad)") { try EnterPlan(json: plan.json) }
                plan.steps = [.visible(real: "/p", at: "/p", paths: [Array("../x".utf8)])]
                #expect(throws: DFSError.self) { try EnterPlan(json: plan.json) }
            }
            plan.steps = []
            plan.arguments = []
            #expect(throws: DFSError.self) { try EnterPlan(json: plan.json) }
        }
    }
}
