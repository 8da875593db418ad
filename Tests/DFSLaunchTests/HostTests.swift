import DFSModel
import Glibc
import Testing

@testable import DFSLaunch
@testable import DFSSystem

extension ProcessTests {
    @Suite struct CapabilitiesTests {
        @Test func probing() throws {
            let s = try Sandbox(User.available[0])
            let before = try DirectoryListing.names(of: s.layer)
            let found = Capabilities.probe(scratch: s.layer, path: "/usr/local/bin:/usr/bin:/bin")
            #expect(found.isRoot == (geteuid() == 0))
            #expect(try DirectoryListing.names(of: s.layer) == before)
            try s.expectNoMountsLeft()
            // What it says must be what a plan meets.
            var plan = s.plan(
                "true", steps: [.overlay(at: RawPath(s.project), lower: [RawPath(s.code)], layer: RawPath(s.layer))])
            plan.namespace = found.namespace == .none ? .user : found.namespace
            let outcome = try s.run(plan)
            #expect((outcome.result?.exitStatus == 0) == (found.namespace != .none && found.overlay.isUsable))
            let fd = open("/dev/fuse", O_RDWR)
            #expect(found.fuseDevice.isUsable == (fd >= 0))
            close(fd)
            #expect(found.json["overlay"]?.string != nil)
        }

        @Test func reasonsAreGiven() throws {
            let none = Capabilities.probe(scratch: "/no/such/folder", path: "/nowhere")
            #expect(none.overlay.reason?.contains("/no/such/folder") == true)
            #expect(none.fusermount.reason?.contains("/nowhere") == true)
            #expect(none.namespace == Capabilities.probe(scratch: "/tmp", path: "").namespace)
        }
    }

    @Suite struct ProcessIdentityTests {
        @Test func livingDeadAndReused() throws {
            let own = try ProcessIdentity.own()
            #expect(try own.liveness() == .alive)
            #expect(ProcessIdentity(json: try JSONValue.parse(own.json.canonicalBytes)) == own)

            var pid: pid_t = 0
            let argv: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("1000"), nil]
            defer { for word in argv { free(word) } }
            #expect(posix_spawnp(&pid, "sleep", nil, nil, argv, nil) == 0)
            let other = try ProcessIdentity.of(pid: pid)
            #expect(try other.liveness() == .alive)
            kill(pid, SIGKILL)
            var info = siginfo_t()
            #expect(waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) == 0)
            #expect(try other.liveness() == .dead, "a zombie")
            waitpid(pid, nil, 0)
            #expect(try other.liveness() == .dead)
            #expect(throws: DFSError.self) { try ProcessIdentity.of(pid: pid) }

            let reused = ProcessIdentity(
                pid: own.pid, start: own.start - 1, boot: own.boot, machine: own.machine,
                pidNamespace: own.pidNamespace)
            #expect(try reused.liveness() == .dead)
        }

        @Test func otherBootsMachinesAndContainers() throws {
            let own = try ProcessIdentity.own()
            func changed(boot: String? = nil, machine: String? = nil, namespace: String? = nil) throws
                -> ProcessIdentity.Liveness
            {
                try ProcessIdentity(
                    pid: own.pid, start: own.start, boot: boot ?? own.boot, machine: machine ?? own.machine,
                    pidNamespace: namespace ?? own.pidNamespace
                ).liveness()
            }
            #expect(try changed(boot: "before") == .dead)
            #expect(try changed(boot: "other", machine: "other") != .dead, "a shared store has many hosts")
            #expect(try changed(machine: "other") != .alive)
            #expect(try changed(namespace: "pid:[1]") != .alive)
            #expect(try changed(namespace: "pid:[1]") != .dead)
        }

        @Test func oddProcessNames() {
            let text = "7 (a) R 1 (b)) S " + (4...22).map(String.init).joined(separator: " ")
            let stat = ProcessStat(Array(text.utf8))
            #expect(stat?.start == 22)
            #expect(stat?.isZombie == false)
            #expect(ProcessStat(Array("7 (x".utf8)) == nil)
        }
    }
}

@Suite struct InterruptionsTests {
    private let second: UInt64 = 1_000_000_000

    @Test func threeWithinTheGraceKill() {
        var i = Interruptions(grace: 10 * second)
        #expect(i.decide(SIGTERM, fromKernel: false, now: 1) == .forward)
        #expect(i.decide(SIGINT, fromKernel: false, now: 5 * second) == .forward)
        #expect(i.decide(SIGUSR1, fromKernel: false, now: 5 * second) == .forward)
        #expect(i.decide(SIGTERM, fromKernel: false, now: 14 * second) == .kill)
    }

    @Test func aTerminalsAreCountedAndNotForwarded() {
        var i = Interruptions(grace: 10 * second)
        #expect(i.decide(SIGINT, fromKernel: true, now: 1) == .nothing)
        #expect(i.decide(SIGQUIT, fromKernel: true, now: 1) == .nothing)
        #expect(i.decide(SIGINT, fromKernel: true, now: 2) == .nothing)
        #expect(i.decide(SIGINT, fromKernel: true, now: 3) == .kill)
    }

    @Test func slowOnesDoNotAddUp() {
        var i = Interruptions(grace: 10 * second)
        for n in 0..<9 { #expect(i.decide(SIGINT, fromKernel: false, now: UInt64(n) * 11 * second) == .forward) }
        #expect(i.decide(SIGCHLD, fromKernel: false, now: 1) == .nothing)
    }
}

@Suite struct MountTableTests {
    @Test func escapedPaths() {
        let text = """
            1 0 8:1 / / rw,relatime - ext4 /dev/vda rw
            2 1 0:5 / /a\\040b\\134 ro,nosuid master:1 - fuse.dfs dfs rw
            3 2 0:5 / /a\\040b\\134/c rw shared:2 master:1 - tmpfs t rw
            4 1 0:6 / /a\\040bc rw - tmpfs t rw
            """
        let table = MountTable(text: Array(text.utf8))
        #expect(table.mounts.count == 4)
        #expect(table.mounts[1].fileSystem == "fuse.dfs")
        #expect(table.mounts[1].options == ["ro", "nosuid"])
        #expect(table.paths(atOrBelow: "/a b\\") == ["/a b\\", "/a b\\/c"])
    }

    @Test func relativePaths() {
        #expect(RawPath("/a/b").relative(to: "/a") == Array("b".utf8))
        #expect(RawPath("/ab").relative(to: "/a") == nil)
        #expect(RawPath("/a").relative(to: "/a") == [])
        #expect(RawPath("/a").relative(to: "/") == Array("a".utf8))
        #expect(RawPath("/a").parent == "/")
        #expect(RawPath("/").parent == "/")
        #expect(RawPath("/").appending("a") == "/a")
    }
}
