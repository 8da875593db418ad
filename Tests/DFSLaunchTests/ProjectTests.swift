import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Testing

extension ProcessTests {
    @Suite struct ProjectTests {
        /// A project whose snapshot is older than the directory, with ignored paths of all kinds.
        private func sandbox(_ user: User) throws -> Sandbox {
            let s = try Sandbox(user)
            for folder in ["/project", "/code"] {
                try s.write("print(1)\n", to: folder + "/main.py")
                try s.write("", to: folder + "/pkg/__init__.py")
                try s.write("old\n", to: folder + "/gone.txt")
            }
            try s.write("print(2)\n", to: "/project/main.py")
            try s.write("secret\n", to: "/project/later.py")
            try s.write("native\n", to: "/project/pkg/_native.so")
            try s.write("python\n", to: "/project/.venv/bin/python", mode: 0o755)
            try s.write("raw\n", to: "/project/data/raw/1")
            try s.write("notes\n", to: "/project/data/notes")
            #expect(symlink("../outputs", s.project + "/results") == 0)
            return s
        }

        private let ignored = [".venv", "pkg/_native.so", "data", "results", "not-there"].map { Array($0.utf8) }

        private func overlay(_ s: Sandbox) -> EnterPlan.Step {
            .overlay(at: RawPath(s.project), lower: [RawPath(s.code)], layer: RawPath(s.layer))
        }

        private func visible(_ s: Sandbox) -> EnterPlan.Step {
            .visible(real: RawPath(s.project), at: RawPath(s.project), paths: ignored)
        }

        private func plan(_ s: Sandbox, _ script: String, _ steps: [EnterPlan.Step]) -> EnterPlan {
            var plan = s.plan(script, steps: steps)
            plan.workingDirectory = RawPath(s.project)
            return plan
        }

        private func tree(_ path: String) throws -> Set<String> {
            var out = Set<String>()
            for name in try DirectoryListing.names(of: path).map({ String(decoding: $0, as: UTF8.self) }) {
                out.insert(name)
                let child = path + "/" + name
                guard try FileStatus.of(path: child)?.kind == .directory else { continue }
                out.formUnion(try tree(child).map { name + "/" + $0 })
            }
            return out
        }

        @Test(arguments: User.available)
        func writesLandInTheUpperLayer(user: User) throws {
            let s = try sandbox(user)
            let before = try tree(s.project)
            let script = """
                pwd; ls -A; cat main.py pkg/_native.so .venv/bin/python data/raw/1
                echo changed > main.py; mkdir -p new/dir; echo n > new/dir/f; rm gone.txt; echo x > pkg/__init__.py
                test ! -e gone.txt; echo via > results/link.txt
                for f in .venv/new .venv/bin/python pkg/_native.so data/raw/2; do
                    (echo x > $f) 2> /dev/null && echo "written: $f"
                done
                rm -rf pkg/_native.so 2> /dev/null && echo removed
                true
                """
            let out = try s.output(plan(s, script, [overlay(s), visible(s)]))
            #expect(
                out == """
                    \(s.project)
                    .venv\ndata\ngone.txt\nmain.py\npkg\nresults
                    print(1)\nnative\npython\nraw

                    """)
            #expect(try tree(s.project) == before)
            #expect(try s.read("/project/main.py") == "print(2)\n")
            #expect(try s.read("/code/main.py") == "print(1)\n")
            #expect(try tree(s.code) == ["main.py", "pkg", "pkg/__init__.py", "gone.txt"])
            #expect(
                try tree(s.layer + "/upper") == [
                    "main.py", "new", "new/dir", "new/dir/f", "gone.txt", "pkg", "pkg/__init__.py",
                ])
            #expect(try s.read("/layer/upper/main.py") == "changed\n")
            let whiteout = try #require(try FileStatus.of(path: s.layer + "/upper/gone.txt"))
            #expect(whiteout.kind == .characterDevice)
            #expect(try s.read("/outputs/link.txt") == "via\n")
            try s.expectNoMountsLeft()
        }

        @Test(arguments: User.available)
        func strictHidesIgnoredPaths(user: User) throws {
            let s = try sandbox(user)
            #expect(try s.output(plan(s, "ls -A; ls pkg", [overlay(s)])) == "gone.txt\nmain.py\npkg\n__init__.py\n")
        }

        @Test(arguments: User.available)
        func theModeOfTheProjectIsKept(user: User) throws {
            let s = try sandbox(user)
            #expect(chmod(s.code, 0o750) == 0)
            #expect(try s.output(plan(s, "stat -c %a .", [overlay(s)])) == "750\n")
        }

        @Test(arguments: User.available)
        func dataInsideTheProject(user: User) throws {
            let s = try sandbox(user)
            try s.write("real\n", to: "/project/data/there/b.txt")
            let data = RawPath(s.data)
            let steps: [EnterPlan.Step] = [
                overlay(s), visible(s),
                // A new place, one in an ignored directory that lacks it, one that covers a real one, one in the code.
                .bind(source: data, at: RawPath(s.project + "/sets/faces"), .readOnly),
                .bind(source: data, at: RawPath(s.project + "/data/faces"), .readOnly),
                .bind(source: data, at: RawPath(s.project + "/data/there"), .readOnly),
                .bind(source: data, at: RawPath(s.project + "/pkg/faces"), .readOnly),
            ]
            let script = """
                cat sets/faces/a.txt data/faces/a.txt data/there/a.txt pkg/faces/a.txt data/notes data/raw/1
                ls data data/there
                for d in sets/faces data/faces data data/raw; do touch $d/new 2> /dev/null && echo "written: $d"; done
                touch sets/beside pkg/beside
                """
            let out = try s.output(plan(s, script, steps))
            #expect(
                out == """
                    one\none\none\none\nnotes\nraw
                    data:\nfaces\nnotes\nraw\nthere\n\ndata/there:\na.txt

                    """)
            #expect(try tree(s.layer + "/upper") == ["sets", "sets/beside", "pkg", "pkg/beside"])
            #expect(!Files.exists(s.project + "/sets"))
            #expect(!Files.exists(s.project + "/data/faces"))
            #expect(try s.read("/project/data/there/b.txt") == "real\n")
            try s.expectNoMountsLeft()
        }

        /// `data` of a project is often a symlink to a larger disk.
        @Test(arguments: User.available)
        func dataBehindAnIgnoredSymlink(user: User) throws {
            let s = try sandbox(user)
            try s.write("big\n", to: "/disk/big/1")
            try Files.removeTree(s.project + "/data")
            #expect(symlink(s.base + "/disk", s.project + "/data") == 0)
            let steps: [EnterPlan.Step] = [
                overlay(s), visible(s),
                .bind(source: RawPath(s.data), at: RawPath(s.project + "/data/faces"), .readOnly),
            ]
            let out = try s.output(plan(s, "cat data/big/1 data/faces/a.txt; readlink data", steps))
            #expect(out == "big\none\n\(s.base)/disk\n")
            #expect(!Files.exists(s.base + "/disk/faces"))
        }

        @Test(arguments: User.available)
        func startsInADirectoryThatTheSnapshotLacks(user: User) throws {
            let s = try sandbox(user)
            try s.directory("/project/empty/deep")
            var plan = plan(s, "pwd; touch here", [overlay(s), visible(s)])
            plan.workingDirectory = RawPath(s.project + "/empty/deep")
            #expect(try s.output(plan) == s.project + "/empty/deep\n")
            #expect(try tree(s.layer + "/upper") == ["empty", "empty/deep", "empty/deep/here"])
        }

        @Test(arguments: User.available)
        func inPlace(user: User) throws {
            let s = try sandbox(user)
            let project = RawPath(s.project)
            func steps(_ at: String) -> [EnterPlan.Step] {
                [
                    .bind(source: project, at: project, .writable),
                    .bind(source: RawPath(s.data), at: project.appending(at), .readOnly),
                ]
            }
            let out = try s.output(plan(s, "cat main.py data/raw/a.txt; echo w > written", steps("data/raw")))
            #expect(out == "print(2)\none\n")
            #expect(try s.read("/project/written") == "w\n")
            // A mirror would make the directory read-only, and on the host nothing is made.
            let failure = try s.run(plan(s, "true", steps("data/faces"))).failure
            #expect(failure?.exitCode == 123)
            #expect(failure?.error.hint == "mkdir -p \(s.project)/data/faces")
            #expect(!Files.exists(s.project + "/data/faces"))
        }

        @Test(arguments: User.available)
        func anOverlayThatTheKernelRefusesCanBeACopy(user: User) throws {
            let s = try sandbox(user)
            let plan = plan(
                s, "cat main.py pkg/_native.so; readlink results; echo c > main.py", [overlay(s), visible(s)])
            // The second mount(2) of the plan is the overlay.
            let failure = try s.run(plan, wrapper: ["DFS_FAULT=mount:2:\(EINVAL)"]).failure
            #expect(failure?.stage == .overlay)
            #expect(failure?.exitCode == 123)
            #expect(failure?.error.errno == EINVAL)

            var copied = plan
            copied.steps[0] = .bind(source: RawPath(s.code), at: RawPath(s.project), .scratch)
            #expect(try s.output(copied) == "print(1)\nnative\n../outputs\n")
            #expect(try s.read("/code/main.py") == "c\n")
            #expect(try s.read("/project/main.py") == "print(2)\n")
            try s.expectNoMountsLeft()
        }

        @Test(.enabled(if: geteuid() == 0)) func theKernelRefusesAnOverlayOnAnOverlay() throws {
            let s = try sandbox(.root)
            let other = try s.directory("/other")
            for name in ["l", "u", "w", "m"] { try s.directory("/other/" + name) }
            let options = "lowerdir=\(other)/l,upperdir=\(other)/u,workdir=\(other)/w"
            guard mount("overlay", other + "/m", "overlay", 0, options) == 0 else { return }
            defer { umount2(other + "/m", 0) }
            let layer = try s.directory("/other/m/layer")
            let step = EnterPlan.Step.overlay(
                at: RawPath(s.project), lower: [RawPath(s.code)], layer: RawPath(layer))
            let failure = try s.run(plan(s, "true", [step])).failure
            #expect(failure?.stage == .overlay)
            #expect(failure?.error.errno == EINVAL)
        }
    }
}
