import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Testing

extension ProcessTests {
    @Suite struct ViewTests {
        /// `/dfs-test-deepops` stands for `/deepops` on a host that has none.
        private static let root: RawPath = "/dfs-test-deepops"

        private func skeleton(_ s: Sandbox, at root: RawPath) -> [EnterPlan.Step] {
            let run = root.appending("runs/r1")
            return [
                .skeleton(at: root), .directory(run), .symlink(root.appending("self"), target: Array("runs/r1".utf8)),
                .bind(source: RawPath(s.data), at: run.appending("data/faces"), .readOnly),
                .bind(source: RawPath(s.outputs), at: run.appending("outputs"), .writable),
                .bind(source: RawPath(s.data + "/a.txt"), at: run.appending("record.json"), .readOnly),
            ]
        }

        private let script = """
            cd $ROOT/self
            ls $ROOT; readlink $ROOT/self; ls; cat data/faces/a.txt record.json
            echo result > outputs/out.txt
            for f in data/faces/new data/faces/a.txt record.json $ROOT/new runs; do
                (echo x > $f) 2> /dev/null && echo "written: $f"
            done
            mkdir $ROOT/runs/r2 2> /dev/null && echo made
            rm data/faces/a.txt 2> /dev/null && echo removed
            true
            """

        @Test(arguments: User.available)
        func skeletonInANewRoot(user: User) throws {
            let s = try Sandbox(user)
            #expect(!Files.exists("/dfs-test-deepops"))
            let script =
                "ROOT=/dfs-test-deepops\n\(script)\nstat -f -c %T /; readlink /bin; test -d /proc/$$; touch \(s.base)/w"
            let out = try s.output(s.plan(script, steps: skeleton(s, at: Self.root)))
            let link = Files.linkTarget("/bin").map { $0 + "\n" } ?? ""
            #expect(out == "runs\nself\nruns/r1\ndata\noutputs\nrecord.json\none\none\ntmpfs\n\(link)")
            #expect(try s.read("/outputs/out.txt") == "result\n")
            #expect(Files.exists(s.base + "/w"), "the rest of the host is writable")
            #expect(!Files.exists("/dfs-test-deepops"))
            #expect(!Files.exists("/.dfs-host"))
            try s.expectNoMountsLeft()
        }

        @Test(arguments: User.available)
        func theNewRootHoldsWhatTheRootHeld(user: User) throws {
            let s = try Sandbox(user)
            let names = try DirectoryListing.names(of: "/").map { String(decoding: $0, as: UTF8.self) }
            let out = try s.output(s.plan("ls -A /", steps: [.skeleton(at: Self.root)]))
            #expect(Set(out.split(separator: "\n").map(String.init)) == Set(names + ["dfs-test-deepops"]))
            let refused = try s.run(s.plan("touch /new", steps: [.skeleton(at: Self.root)]))
            #expect(refused.result?.exitStatus == 1)
        }

        @Test(arguments: User.available)
        func skeletonOverAnExistingDirectory(user: User) throws {
            let s = try Sandbox(user)
            let root = try s.directory("/deepops")
            try s.write("hidden", to: "/deepops/covered")
            let out = try s.output(
                s.plan("ROOT=\(root)\n\(script)\nstat -f -c %T /", steps: skeleton(s, at: RawPath(root))))
            let host = try MountTable.own().mounts.last { $0.path == "/" }
            #expect(out.hasPrefix("runs\nself\nruns/r1\ndata\noutputs\nrecord.json\none\none\n"))
            #expect(!out.hasSuffix("tmpfs\n") || host?.fileSystem == "tmpfs")
            #expect(try s.read("/deepops/covered") == "hidden")
            #expect(try s.read("/outputs/out.txt") == "result\n")
            try s.expectNoMountsLeft()
        }

        @Test(arguments: User.available)
        func mountpointThatTheHostLacks(user: User) throws {
            let s = try Sandbox(user)
            try s.write("sibling\n", to: "/mnt/other/file")
            try s.write("top\n", to: "/mnt/top")
            #expect(symlink("other/file", s.base + "/mnt/link") == 0)
            let mnt = s.base + "/mnt"
            let script = """
                cd \(mnt); ls; cat x/y/a.txt link top
                echo more >> other/file; echo more >> top; mkdir x/z 2> /dev/null || echo refused
                touch new 2> /dev/null || echo refused
                """
            let steps: [EnterPlan.Step] = [
                .bind(source: RawPath(s.data), at: RawPath(mnt + "/x/y"), .readOnly)
            ]
            let out = try s.output(s.plan(script, steps: steps))
            #expect(out == "link\nother\ntop\nx\none\nsibling\ntop\nrefused\nrefused\n")
            #expect(try s.read("/mnt/other/file") == "sibling\nmore\n")
            #expect(try s.read("/mnt/top") == "top\nmore\n")
            #expect(try DirectoryListing.names(of: mnt).count == 3)
            try s.expectNoMountsLeft()
        }

        @Test(arguments: User.available)
        func twoMountpointsBelowMnt(user: User) throws {
            let s = try Sandbox(user)
            let steps: [EnterPlan.Step] = [
                .bind(source: RawPath(s.data), at: "/mnt/dfs-test/x/y", .readOnly),
                .bind(source: RawPath(s.data), at: "/mnt/dfs-test/z", .readOnly),
                .bind(source: RawPath(s.data), at: "/mnt/dfs-test/z/inner", .readOnly),
                .skeleton(at: Self.root),
            ]
            let script =
                "cd /mnt/dfs-test; cat x/y/a.txt z/a.txt z/inner/a.txt; ls z; touch /mnt/new 2> /dev/null || echo no"
            #expect(try s.output(s.plan(script, steps: steps)) == "one\none\none\na.txt\ninner\nno\n")
            #expect(!Files.exists("/mnt/dfs-test"))
            #expect(try DirectoryListing.names(of: s.data).count == 1)
            try s.expectNoMountsLeft()
        }

        /// A FUSE file system on the host's mountpoint whose server is dead (ENOTCONN), or another user's (EACCES).
        @Test(.enabled(if: geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0), arguments: [0, 65534])
        func skeletonOverAMountThatDoesNotAnswer(owner: Int) throws {
            let s = try Sandbox(.root)
            let root = try s.directory("/deepops")
            var device: OwnedDescriptor? = try OwnedDescriptor.open("/dev/fuse", O_RDWR)
            let options = "fd=\(try #require(device).raw),rootmode=40000,user_id=\(owner),group_id=0"
            try #require(mount("foreign", root, "fuse", UInt(MS_NOSUID | MS_NODEV), options) == 0)
            defer { umount2(root, Int32(MNT_DETACH)) }
            // Without its descriptor the connection has ended.
            if owner == 0 { device = nil }
            #expect(access(root, F_OK) != 0 && errno == (owner == 0 ? ENOTCONN : EACCES))
            let out = try s.output(s.plan("ROOT=\(root)\n\(script)", steps: skeleton(s, at: RawPath(root))))
            #expect(out == "runs\nself\nruns/r1\ndata\noutputs\nrecord.json\none\none\n")
            withExtendedLifetime(device) {}
        }

        /// A directory that is anybody's scratch must not become read-only.
        @Test(arguments: User.available)
        func mountpointInTmp(user: User) throws {
            let s = try Sandbox(user)
            let steps: [EnterPlan.Step] = [.bind(source: RawPath(s.data), at: "/tmp/dfs-test-faces", .readOnly)]
            let script = """
                cat /tmp/dfs-test-faces/a.txt; f=$(mktemp) && echo made; stat -c %a /tmp; echo seen > \(s.outputs)/o
                """
            #expect(try s.output(s.plan(script, steps: steps)) == "one\nmade\n1777\n")
            #expect(try s.read("/outputs/o") == "seen\n")
            #expect(!Files.exists("/tmp/dfs-test-faces"))
        }

        @Test func aDirectoryWithTooManyEntriesIsNotMirrored() throws {
            let s = try Sandbox(User.available[0])
            let crowd = try s.directory("/crowd")
            for n in 0...10_000 { #expect(symlink("x", crowd + "/\(n)") == 0) }
            func steps(_ name: String) -> [EnterPlan.Step] {
                [.bind(source: RawPath(s.data), at: RawPath(crowd + name), .readOnly)]
            }
            let failure = try s.run(s.plan("true", steps: steps("/faces"))).failure
            #expect(failure?.error.cause?.contains("10001 entries") == true)
            try s.directory("/crowd/made")
            #expect(try s.output(s.plan("cat \(crowd)/made/a.txt", steps: steps("/made"))) == "one\n")
        }

        /// A FUSE daemon that died and was started again is mounted again, and running jobs have to see it.
        @Test(.enabled(if: geteuid() == 0), arguments: User.available)
        func mountsOfTheHostArrive(user: User) throws {
            let s = try Sandbox(user)
            let shared = try s.directory("/shared")
            guard mount("tmpfs", shared, "tmpfs", 0, nil) == 0 else { return }
            defer { umount2(shared, Int32(MNT_DETACH)) }
            #expect(mount(nil, shared, nil, UInt(MS_SHARED), nil) == 0)
            try s.directory("/shared/fuse")
            let script = """
                while [ ! -e \(s.outputs)/go ]; do sleep 0.01; done
                cat \(shared)/fuse/f /dfs-test-deepops/all/fuse/f
                """
            let steps: [EnterPlan.Step] = [
                .skeleton(at: Self.root),
                .bind(source: RawPath(shared), at: Self.root.appending("all"), .readOnly),
            ]
            let outcome = try s.supervisor().run(s.plan(script, steps: steps)) { _, _ in
                #expect(mount("tmpfs", shared + "/fuse", "tmpfs", 0, nil) == 0)
                try? s.write("arrived\n", to: "/shared/fuse/f")
                try? s.write("", to: "/outputs/go")
            }
            #expect(outcome.result?.exitStatus == 0)
            #expect(try s.read("/logs/stdout") == "arrived\narrived\n")
        }

        /// mount(2) and mount options would trip over every one of these names.
        @Test(arguments: User.available)
        func namesWithOddBytes(user: User) throws {
            let s = try Sandbox(user)
            let odd: [UInt8] = Array("a,b:c\\d e\n%41".utf8) + [0xff]
            let source = RawPath(s.base).appending(odd)
            #expect(withCName(source.bytes) { mkdir($0, 0o755) } == 0)
            let file = source.appending("f")
            _ = try OwnedDescriptor.open(bytes: file.bytes, O_CREAT | O_WRONLY, mode: 0o644, at: AT_FDCWD)
            _ = withCName(source.bytes) { chown($0, user.uid, user.gid) }
            let layer = RawPath(s.base).appending(odd + [0x21])
            #expect(withCName(layer.bytes) { mkdir($0, 0o755) } == 0)
            _ = withCName(layer.bytes) { chown($0, user.uid, user.gid) }
            let target = RawPath(s.base + "/view").appending(odd)
            var plan = s.plan(
                "ls \"$1\"; ls",
                steps: [
                    .bind(source: source, at: target, .readOnly),
                    .overlay(
                        at: RawPath(s.project), lower: [source, RawPath(s.code)], layer: layer),
                ])
            plan.arguments += [Array("sh".utf8), target.bytes]
            plan.workingDirectory = RawPath(s.project)
            #expect(try s.output(plan) == "f\nf\n")
        }

        @Test(arguments: User.available)
        func callsOfOldKernels(user: User) throws {
            let s = try Sandbox(user)
            let flagged = try s.directory("/flagged")
            let flags = UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME)
            guard mount("tmpfs", flagged, "tmpfs", flags, nil) == 0 else { return }
            defer { umount2(flagged, 0) }
            try s.write("inner\n", to: "/flagged/file")
            try s.directory("/flagged/sub")
            guard mount("tmpfs", flagged + "/sub", "tmpfs", flags, nil) == 0 else { return }
            defer { umount2(flagged + "/sub", 0) }
            for old in [true, false] {
                let at = RawPath(s.base + "/view/flagged")
                let steps: [EnterPlan.Step] = [.bind(source: RawPath(flagged), at: at, .readOnly)]
                var plan = s.plan(
                    """
                    cd \(at); cat file; touch new 2> /dev/null || echo ro; touch sub/new 2> /dev/null || echo ro
                    grep \(at) /proc/self/mountinfo | cut -d ' ' -f 6
                    """, steps: steps)
                plan.avoidsNewCalls = old
                plan.standardOutput = RawPath(s.base + "/logs/out-\(old)")
                #expect(try s.run(plan).result?.exitStatus == 0)
                let kept = "ro,nosuid,nodev,noexec,noatime\n"
                #expect(try s.read("/logs/out-\(old)") == "inner\nro\nro\n" + kept + kept)
            }
        }

        @Test(arguments: User.available)
        func whatIsInTheWayIsNamed(user: User) throws {
            let s = try Sandbox(user)
            try s.write("", to: "/file")
            for (source, at) in [
                (s.data, s.base + "/file"), (s.data + "/a.txt", s.outputs), (s.base + "/none", s.data),
            ] {
                let steps: [EnterPlan.Step] = [.bind(source: RawPath(source), at: RawPath(at), .readOnly)]
                let failure = try s.run(s.plan("true", steps: steps)).failure
                #expect(failure?.stage == .mount)
                #expect(failure?.exitCode == 123)
                #expect(failure?.error.code == .cannotServe)
                #expect(failure?.error.what.contains(source == s.base + "/none" ? source : at) == true)
            }
            try s.expectNoMountsLeft()
        }
    }
}
