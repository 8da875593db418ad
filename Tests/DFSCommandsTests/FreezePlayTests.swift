import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// The environment of a run, recorded and put back.
    @Suite struct FreezePlayTests {
        private let stage: Stage
        private static let python = "/usr/bin/python3"

        init() throws { stage = try Stage() }

        private static let hasPython: Bool = {
            if Files.exists(python), Files.exists("/usr/lib/python3") { return true }
            print("skipped: no system Python")
            return false
        }()

        /// A virtual environment of the system's Python with a package of our own, and a script that uses it.
        private func prepare() throws {
            try stage.shell("\(Self.python) -m venv --without-pip venv")
            let site = try stage.shell("echo venv/lib/python3*/site-packages")
            try stage.directory.write(site + "/ours/__init__.py", "answer = 42\n")
            try stage.directory.write(site + "/ours-1.5.dist-info/METADATA", "Name: ours\nVersion: 1.5\n\n")
            try stage.directory.write(
                site + "/ours-1.5.dist-info/RECORD", "ours/__init__.py,,\nours-1.5.dist-info/METADATA,,\n")
            try stage.directory.write(
                "project/t.py", "import ours, sys, json\nprint(ours.answer, sys.prefix, ours.__file__)\n")
        }

        private var interpreter: String { stage.directory.sub("venv/bin/python") }

        private func run(_ words: [String], limit: String = "2G") throws -> SpawnedProgram.Result {
            let result = try stage.start("dfs-run", words, variables: ["DFS_FREEZE_LIMIT": limit]).wait()
            try #require(result.code == 0, "\(result.errorText)")
            return result
        }

        /// The latest run's, once it has been recorded.
        private func environment(location: SourceLocation = #_sourceLocation) throws -> JSONValue {
            Stage.eventually("a frozen environment", location: location) {
                try stage.json("show", "run:latest")["environment"]?["parts"] != nil
            }
            return try #require(try stage.json("show", "run:latest")["environment"], sourceLocation: location)
        }

        private func openRepository() throws -> Repository {
            try Repository.open(at: stage.store, cacheRoot: stage.home + "/cache/dfs")
        }

        private func frozen(_ repository: Repository, of run: RunRecord? = nil) throws -> FrozenEnvironment {
            let run = try #require(try run ?? repository.state().runs.last)
            guard case .environment(let found) = try FrozenEnvironment.of(run, repository) else {
                throw System.error(ENOENT, "no environment")
            }
            return found
        }

        /// Runs a command in a view in which `plan` is mounted.
        private func replay(_ plan: FrozenEnvironment.Plan, _ frozen: FrozenEnvironment, _ words: [String]) throws
            -> String
        {
            var enter = EnterPlan(
                namespace: geteuid() == 0 ? .mount : .user, uid: geteuid(), gid: getegid(),
                workingDirectory: RawPath(stage.project), environment: [Array("PATH=/usr/bin:/bin".utf8)],
                arguments: words.map { Array($0.utf8) })
            for mount in plan.mounts {
                enter.steps.append(
                    .bind(source: RawPath(try frozen.copy(of: mount)), at: RawPath(mount.target), .readOnly))
            }
            let output = stage.directory.sub("scratch/replayed")
            enter.standardOutput = RawPath(output)
            let supervisor = Supervisor(executable: SpawnedProgram.products + "/dfs", arguments: ["dfs", "__enter"])
            guard case .ended(let child) = try supervisor.run(enter) else { throw System.error(ENOEXEC, "no job") }
            #expect(child.exitStatus == 0)
            return try stage.text(output)
        }

        @Test(.enabled(if: hasPython)) func aDeletedEnvironmentComesBack() throws {
            try prepare()
            let output = try run([interpreter, "t.py"]).outputText
            #expect(output.hasPrefix("42 \(stage.directory.path)/venv"))
            let record = try environment()
            #expect(record["complete"] == true, "\(record.canonicalText)")
            let kinds = Set((record["parts"]?.array ?? []).compactMap { $0["kind"]?.string })
            #expect(kinds.isSuperset(of: ["virtual", "system"]))
            let shown = try stage.done("show", "run:latest")
            #expect(shown.contains("/env"), "\(shown)")
            let listed = try stage.done("ls", "run:latest/env\(stage.directory.path)/venv/lib")
            #expect(listed.contains("python3"))

            let repository = try openRepository()
            let frozen = try frozen(repository)
            #expect(try frozen.plan().mounts.isEmpty)
            try stage.shell("rm -r venv")
            let plan = try frozen.plan()
            #expect(plan.mounts.map(\.target) == [stage.directory.sub("venv")])
            #expect(try replay(plan, frozen, [interpreter, "t.py"]) == output)
            #expect(!Files.exists(stage.directory.sub("venv")))
        }

        @Test(.enabled(if: hasPython)) func aRerunFindsWhatWasDeleted() throws {
            try prepare()
            let output = try run([interpreter, "t.py"]).outputText
            let first = try environment()
            try stage.shell("rm -r venv")
            // The host is compared with the packages that are put back.
            let again = try stage.start(
                "dfs", ["rerun", "latest", "--require", "identical"], variables: ["DFS_FREEZE_LIMIT": "2G"]
            ).wait()
            #expect(again.code == 0 && again.outputText == output, "\(again.errorText)")
            #expect(!Files.exists(stage.directory.sub("venv")))
            let second = try environment()
            #expect(second["tree"]?["content"] == first["tree"]?["content"] && second["source"] != nil)
            let plan = try stage.json("show", "run:latest")["record"]?["plan"]
            let mounted = plan?["environment-mounts"]?["mounted"]?.array
            #expect(mounted?.compactMap { $0["path"] } == [.string(stage.directory.sub("venv"))])
            #expect(try stage.dfs("verify").code == 0)
        }

        /// In a user namespace, where nothing of the machine can be mounted over but by its own user.
        @Test(.enabled(if: hasPython && geteuid() == 0 && Files.exists("/usr/bin/fusermount3")))
        func anOrdinaryUserGetsItBackToo() throws {
            let user = try OrdinaryUser()
            let stage = try Stage(programs: user.programs, prefix: user.prefix, owner: OrdinaryUser.id)
            try stage.directory.write("project/t.py", "import sys\nprint(sys.prefix, sys.version)\n")
            try stage.shell("\(Self.python) -m venv --without-pip venv")
            let words = [stage.directory.sub("venv/bin/python"), "t.py"]
            let variables = ["DFS_FREEZE_LIMIT": "2G"]
            let first = try stage.start("dfs-run", words, variables: variables).wait()
            #expect(first.code == 0 && first.outputText.hasPrefix(stage.directory.path), "\(first.errorText)")
            Stage.eventually("a frozen environment") {
                try stage.json("show", "run:latest")["environment"]?["complete"] == true
            }
            try stage.shell("rm -r venv")
            let again = try stage.start("dfs", ["rerun", "latest"], variables: variables).wait()
            #expect(again.code == 0 && again.outputText == first.outputText, "\(again.errorText)")
        }

        /// A library that lies in no prefix is frozen because it was opened.
        @Test(.enabled(if: hasPython && geteuid() == 0)) func aDeletedLibraryComesBackToo() throws {
            let folder = stage.directory.sub("lib")
            try stage.shell(
                "mkdir lib; echo 'int answer(void) { return 42; }' > lib/a.c; "
                    + "cc -shared -fPIC -Wl,-soname,libours.so.1 -o lib/libours.so.1.0 lib/a.c; "
                    + "ln -s libours.so.1.0 lib/libours.so.1")
            try stage.directory.write(
                "project/t.py", "import ctypes\nprint(ctypes.CDLL('\(folder)/libours.so.1').answer())\n")
            #expect(try run([Self.python, "t.py"]).outputText == "42\n")
            let record = try environment()
            let parts = record["parts"]?.array ?? []
            #expect(parts.contains { $0["kind"] == "library" && $0["path"] == .string(folder + "/libours.so.1.0") })
            // glibc as a whole, or not at all.
            let names = parts.compactMap { $0["path"]?.string }
            #expect(names.contains { $0.hasSuffix("/libc.so.6") } && names.contains { $0.contains("/libnss_files") })
            // Another version takes the library's name.
            try stage.shell(
                "rm lib/libours.so.1*; sed -i s/42/43/ lib/a.c; cc -shared -fPIC -o lib/libours.so.1.1 lib/a.c; "
                    + "ln -s libours.so.1.1 lib/libours.so.1")
            let again = try stage.start("dfs", ["rerun", "latest"], variables: ["DFS_FREEZE_LIMIT": "2G"]).wait()
            #expect(again.code == 0 && again.outputText == "42\n", "\(again.errorText)")
        }

        /// `python -m venv .`: what is recorded as code is no environment, and a rerun of other code sees that.
        @Test(.enabled(if: hasPython && geteuid() == 0)) func anEnvironmentThatIsTheProjectCoversNoCode() throws {
            try stage.shell("\(Self.python) -m venv --without-pip project; git -C project init -q")
            try stage.directory.write("project/.gitignore", "*.key\nlib/\nlib64\ninclude/\n")
            try stage.directory.write("project/own.key", "secret")
            try stage.directory.write("project/a.c", "int answer(void) { return 42; }\n")
            try stage.shell("cc -shared -fPIC -o project/ours.so project/a.c")
            try stage.directory.write(
                "project/t.py", "import ctypes, sys\nprint(sys.prefix, ctypes.CDLL('./ours.so').answer())\n")
            let words = [stage.project + "/bin/python", "t.py"]
            let output = try run(words).outputText
            #expect(output == "\(stage.project) 42\n")
            let record = try environment()
            let paths = (record["parts"]?.array ?? []).compactMap { $0["path"]?.string }
            #expect(record["complete"] == true, "\(record.canonicalText)")
            #expect(paths.contains(stage.project + "/lib"))
            #expect(!paths.contains(stage.project) && !paths.contains(stage.project + "/ours.so"))
            let recorded = (record["recorded"]?.array ?? []).compactMap { $0["path"]?.string }
            #expect(
                recorded.contains(stage.project + "/ours.so") && recorded.contains(stage.project + "/bin"),
                "\(record.canonicalText)")
            #expect(try !stage.done("ls", "run:latest/env\(stage.project)").contains("own.key"))

            try stage.shell("sed -i s/42/43/ project/a.c; cc -shared -fPIC -o project/ours.so project/a.c")
            let again = try stage.start(
                "dfs", ["rerun", "latest", "--code", stage.project], variables: ["DFS_FREEZE_LIMIT": "2G"]
            ).wait()
            #expect(again.code == 0 && again.outputText == "\(stage.project) 43\n", "\(again.errorText)")
        }

        /// Older records may have parts that are code.
        @Test(.enabled(if: hasPython)) func nothingIsPutOverCode() throws {
            try prepare()
            _ = try run([interpreter, "t.py"])
            _ = try environment()
            try stage.shell("sed -i s/42/43/ venv/lib/python3*/site-packages/ours/__init__.py")
            let frozen = try frozen(try openRepository())
            let survey = CodeSurvey(root: stage.directory.sub("venv"), excluded: [], facts: CodeFacts())
            let plan = try frozen.plan(within: EnvironmentBounds(roots: [.init(survey)]))
            #expect(plan.mounts.isEmpty && plan.keepsPython)
            #expect(plan.kept.map(\.path) == [stage.directory.sub("venv")], "\(plan.kept)")
        }

        /// A part that a record promises and does not have.
        @Test(.enabled(if: hasPython)) func aPartThatTheRecordLacksIsNamed() throws {
            try prepare()
            _ = try run([interpreter, "t.py"])
            _ = try environment()
            let repository = try openRepository()
            let first = try #require(try repository.state().runs.last)
            let note = try #require(first.annotations.first { $0.tree != nil && $0.name == RunAnnotation.environment })
            #expect(try stage.start("dfs-run", ["--no-freeze-env", "--", "true"]).wait().code == 0)
            var record = try #require(try frozen(repository, of: first).record.object)
            record["parts"] = .array(
                (record["parts"]?.array ?? []) + [["kind": "python", "path": "/no/such/prefix"]])
            let second = try #require(try openRepository().state().runs.last)
            try Annotation(repository: repository, run: second.id, name: RunAnnotation.environment).append(
                record, adopting: note, by: try KeyFile.load(orCreateAt: stage.home + "/config/dfs/key"))
            let plan = try frozen(try openRepository()).plan()
            #expect(plan.mounts.isEmpty && plan.keepsPython)
            #expect(plan.kept.map(\.path) == ["/no/such/prefix"], "\(plan.kept)")
        }

        @Test(.enabled(if: hasPython)) func anIgnoredEnvironmentInTheProjectComesBack() throws {
            try prepare()
            try stage.shell("\(Self.python) -m venv --without-pip project/.venv; git -C project init -q")
            try stage.shell("cp -r venv/lib project/.venv/")
            try stage.directory.write("project/.gitignore", ".venv/\n")
            let output = try run([stage.project + "/.venv/bin/python", "t.py"]).outputText
            #expect(output.hasPrefix("42 \(stage.project)/.venv"))
            let record = try environment()
            #expect(record["complete"] == true, "\(record.canonicalText)")
            try stage.shell("rm -r project/.venv")
            let again = try stage.start("dfs", ["rerun", "latest"], variables: ["DFS_FREEZE_LIMIT": "2G"]).wait()
            #expect(again.code == 0 && again.outputText == output, "\(again.errorText)")
        }

        /// What has changed since the run began is not what ran: neither it nor what repeats it is said to be complete.
        @Test(.enabled(if: hasPython)) func whatChangesDuringTheRunIsNamed() throws {
            try prepare()
            let site = try stage.shell("echo venv/lib/python3*/site-packages")
            let module = stage.directory.sub(site + "/ours/__init__.py")
            try stage.directory.write(
                "project/t.py",
                "import ours\nprint(ours.answer)\nif ours.answer == 42: open('\(module)', 'w').write('answer = 43\\n')\n"
            )
            #expect(try run([interpreter, "t.py"]).outputText == "42\n")
            let record = try environment()
            #expect(record["complete"] == false)
            let changed = record["changed"]?["files"]?.array
            #expect(changed?.compactMap { $0["path"] } == [.string(module)], "\(record.canonicalText)")
            #expect(try stage.done("show", "run:latest").contains("incomplete: \(module): "))
            let repository = try openRepository()
            #expect(try frozen(repository).gaps.map(\.isLibrary) == [false])
            // What is not known to be put back is compared as it is here.
            try stage.shell("cd \(site); mv ours-1.5.dist-info ours-1.6.dist-info; sed -i s/1.5/1.6/ ours-*/METADATA")
            let refused = try stage.start("dfs", ["rerun", "latest", "--require", "identical"]).wait()
            #expect(refused.code == 120 && refused.errorText.contains("ours"), "\(refused.errorText)")
            // A rerun that is given it says so, and has its own environment recorded.
            try stage.shell("rm \(module)")
            let again = try stage.start(
                "dfs", ["rerun", "latest", "--require", "incompatible"], variables: ["DFS_FREEZE_LIMIT": "2G"]
            ).wait()
            #expect(again.code == 0 && again.outputText == "43\n", "\(again.errorText)")
            #expect(again.errorText.contains("is incomplete: \(module)"), "\(again.errorText)")
            let second = try environment()
            #expect(second["source"] == nil && second["complete"] == false)
            let missing = (second["parts"]?.array ?? []).filter { $0["missing"] != nil }
            #expect(missing.compactMap { $0["path"] } == [.string(stage.directory.sub("venv"))])
        }

        /// Slurm ends a job's processes with it.
        @Test(.enabled(if: hasPython)) func aJobOfSlurmWaitsForItsEnvironment() throws {
            let result = try stage.start(
                "dfs-run", [Self.python, "-c", "print(1)"],
                variables: ["DFS_FREEZE_LIMIT": "2G", "SLURM_JOB_ID": "7"]
            ).wait()
            #expect(result.code == 0 && result.errorText.contains("waiting until the environment is frozen"))
            #expect(try stage.json("show", "run:latest")["environment"]?["parts"] != nil)
        }

        /// No signal of the terminal reaches the freezing process.
        @Test func theFreezeHasASessionOfItsOwn() throws {
            let job = try stage.start(
                "dfs-run", ["sh", "-c", "while [ ! -e \(stage.directory.sub("sign")) ]; do sleep 0.05; done"],
                variables: ["DFS_FREEZE_LIMIT": "2G"])
            let freezer = freezer(of: job)
            #expect(freezer > 0 && getsid(freezer) == freezer)
            try stage.directory.write("sign", "")
            #expect(try job.wait().code == 0)
        }

        @Test(.enabled(if: hasPython)) func whatHasChangedIsPutBackToo() throws {
            try prepare()
            let output = try run([interpreter, "t.py"]).outputText
            _ = try environment()
            try stage.shell("sed -i s/42/43/ venv/lib/python3*/site-packages/ours/__init__.py")
            let frozen = try frozen(try openRepository())
            let plan = try frozen.plan()
            #expect(plan.mounts.map(\.target) == [stage.directory.sub("venv")])
            #expect(try replay(plan, frozen, [interpreter, "t.py"]) == output)
        }

        @Test(.enabled(if: hasPython)) func theSecondFreezeStoresNextToNothing() throws {
            try prepare()
            _ = try run([interpreter, "t.py"])
            let first = try environment()
            let size = Int(try stage.shell("du -sb \(stage.store) | cut -f1")) ?? 0
            // What the first run has compiled is no part of it.
            try stage.shell("venv/bin/python -c 'import ours'")
            _ = try run([interpreter, "t.py"])
            let second = try environment()
            #expect(first["tree"]?["content"] == second["tree"]?["content"])
            let more = (Int(try stage.shell("du -sb \(stage.store) | cut -f1")) ?? 0) - size
            #expect(more * 100 < size, "\(more) of \(size)")
        }

        /// Two runs that end together store it once.
        @Test(.enabled(if: hasPython)) func twoRunsAtOnceFreezeOnce() throws {
            func size(_ stage: Stage) throws -> Int { Int(try stage.shell("du -sb \(stage.store) | cut -f1")) ?? 0 }
            func frozen(_ stage: Stage, _ count: Int) throws {
                Stage.eventually("\(count) environments") {
                    let repository = try Repository.open(at: stage.store, cacheRoot: stage.home + "/cache/dfs")
                    return try repository.state().runs.count { $0.environment != nil } == count
                }
            }
            let one = try Stage()
            let words = [Self.python, "-c", "print(1)"]
            let variables = ["DFS_FREEZE_LIMIT": "2G"]
            #expect(try one.start("dfs-run", words, variables: variables).wait().code == 0)
            try frozen(one, 1)
            let both = [0, 1].map { _ in try? stage.start("dfs-run", words, variables: variables) }
            for run in both { #expect(try run?.wait().code == 0) }
            try frozen(stage, 2)
            let (once, twice) = (try size(one), try size(stage))
            #expect(twice * 10 < once * 12, "\(twice) against \(once)")
        }

        @Test(.enabled(if: hasPython)) func whatDoesNotFitIsNamed() throws {
            try prepare()
            _ = try run([interpreter, "t.py"], limit: "1M")
            let record = try environment()
            #expect(record["complete"] == false)
            let missing = (record["parts"]?.array ?? []).filter { $0["missing"] != nil }
            #expect(missing.contains { $0["kind"] == "system" })
            #expect(try stage.done("show", "run:latest").contains("incomplete: "))
        }

        @Test func whatIsNotFrozenIsSaidToBe() throws {
            let result = try stage.start(
                "dfs-run", ["--no-freeze-env", "--", "sh", "-c", "true"], variables: ["DFS_FREEZE_LIMIT": "2G"]
            ).wait()
            #expect(result.code == 0, "\(result.errorText)")
            #expect(try stage.done("show", "run:latest").contains("not frozen: --no-freeze-env"))
            #expect(try stage.launch("sh", "-c", "true").code == 0)
            #expect(try stage.done("show", "run:latest").contains("not frozen: the limit is 0"))
        }

        /// The process that freezes the environment of a run in progress.
        private func freezer(of job: SpawnedProgram) -> pid_t {
            var freezer: pid_t = 0
            Stage.eventually("the freezing process") {
                freezer =
                    try DirectoryListing.names(of: "/proc").compactMap { pid_t(NameText.display($0)) }.first { pid in
                        guard (try? ProcessStat.read(pid: pid))??.parent == job.process,
                            let line = try Files.read("/proc/\(pid)/cmdline")
                        else { return false }
                        return NameText.display(line).contains("__freeze")
                    } ?? 0
                return freezer > 0
            }
            return freezer
        }

        @Test func aFreezeThatIsKilledLeavesNothing() throws {
            let sign = stage.directory.sub("sign")
            let job = try stage.start(
                "dfs-run", ["sh", "-c", "while [ ! -e \(sign) ]; do sleep 0.05; done"],
                variables: ["DFS_FREEZE_LIMIT": "2G"])
            let freezer = freezer(of: job)
            kill(freezer, SIGKILL)
            try stage.directory.write("sign", "")
            #expect(try job.wait().code == 0)
            #expect(try stage.done("show", "run:latest").contains("not frozen: "))
            #expect(try stage.json("show", "run:latest")["environment"]?["none"] != nil)
            #expect(try stage.dfs("verify").code == 0)
        }

        @Test func oddLimitsAreRefused() throws {
            let odd = try stage.start("dfs-run", ["true"], variables: ["DFS_FREEZE_LIMIT": "much"]).wait()
            #expect(odd.code == 64 && odd.errorText.contains("DFS_FREEZE_LIMIT"), "\(odd.code) \(odd.errorText)")
        }
    }
}
