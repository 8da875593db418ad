import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// What is seen of a job while it runs.
    @Suite struct WitnessPlayTests {
        private let stage: Stage
        private static let python = "/usr/bin/python3"
        private static let fixtures = Files.parent(Files.parent(#filePath)) + "/DFSRunsTests/Fixtures"

        init() throws { stage = try Stage() }

        private static let seesOpens: Bool = {
            if geteuid() == 0, Files.exists(python) { return true }
            print("skipped: no system Python, or not root")
            return false
        }()

        private func evidence(_ name: String) throws -> JSONValue {
            try JSONValue.parse(try stage.done("cat", "run:latest/evidence/" + name))
        }

        private func usage() throws -> [JSONValue] {
            try stage.done("cat", "run:latest/evidence/usage.jsonl").split(separator: "\n").map {
                try JSONValue.parse(String($0))
            }
        }

        private func result() throws -> JSONValue {
            try #require(try stage.json("show", "run:latest")["record"]?["result"])
        }

        @Test func useIsASeriesOfLines() throws {
            let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 1.2"
            let run = try stage.launch("--", "sh", "-c", script)
            #expect(run.code == 0 && run.errorText.contains("; GPU none; "), "\(run.errorText)")
            let lines = try usage()
            #expect(lines.first?["format"] == "dfs.usage/1" && lines.first?["gpus"]?["none"] != nil)
            #expect(lines.count >= 3)
            let times = lines.compactMap { $0["at_milliseconds"]?.integer }
            #expect(times == times.sorted() && times.count == lines.count - 1)
            #expect(lines.last?["cpu_milliseconds"]?.integer ?? 0 > 0)
            #expect(lines.dropFirst().contains { $0["processes"]?.integer ?? 0 >= 1 })
            let result = try result()
            #expect(result["usage"]?["gpu-time"]?["none"] != nil && result["usage"]?["series"] == "usage.jsonl")
            #expect(try stage.done("show", "run:latest").contains("GPU none"))
            try stage.expectNothingLeft()
        }

        @Test func aKilledRunHasWhatWasSeen() throws {
            let run = try stage.start("dfs-run", ["sleep", "60"])
            func live(_ name: String) throws -> String {
                let folder = stage.store + "/live"
                let runs = try DirectoryListing.names(of: folder).map { NameText.display($0) }
                return try stage.text("\(folder)/\(runs.first ?? "")/evidence/\(name)")
            }
            Stage.eventually("a line and a library") {
                try live("usage.jsonl").split(separator: "\n").count >= 2
                    && live("libraries.json").contains("libc.so.6")
            }
            kill(run.process, SIGKILL)
            _ = try run.wait()
            #expect(try stage.done("show", "run:latest").contains("interrupted"))
            #expect(try usage().count >= 2)
            #expect(try evidence("libraries.json")["libraries"]?.array?.isEmpty == false)
        }

        /// A library that stands in for NVIDIA's, and a tool that stands in for nvidia-smi.
        @Test func gpuTimeIsRecordedAndPrinted() throws {
            let library = stage.directory.sub("nvml")
            try Files.makeDirectories(library)
            try stage.shell(
                "cc -w -shared -fPIC -DWATCHED -o \(library)/libnvidia-ml.so.1 '\(Self.fixtures)/fake_nvml.c'")
            try stage.directory.write(
                "nvml/nvidia-smi", "#!/bin/sh\necho \"<nvidia_smi_log>$*</nvidia_smi_log>\"\n", mode: 0o755)
            let run = try stage.start(
                "dfs-run", ["sh", "-c", "sleep 2.5"],
                variables: [
                    "LD_LIBRARY_PATH": library, "PATH": library + ":/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "0",
                ]
            ).wait()
            #expect(run.code == 0, "\(run.errorText)")
            let time = try #require(try result()["usage"]?["gpu-time"])
            let reserved = try #require(time["reserved_milliseconds"]?.integer)
            let busy = try #require(time["busy_milliseconds"]?.integer, "\(time.canonicalText)")
            #expect(time["devices"] == 1 && reserved >= 1000)
            // The library samples 20 % and 61 %: 40.5 % all the time.
            #expect(busy > 0 && busy * 1000 <= reserved * 406)
            #expect(run.errorText.contains("GPU-hours 0.00") && run.errorText.contains("busy of"), "\(run.errorText)")
            let lines = try usage()
            #expect(lines.first?["gpus"]?.array?.map { $0["visible"] } == [true, false])
            let readings = lines.dropFirst().compactMap { $0["gpus"]?.array }
            #expect(!readings.isEmpty && readings.allSatisfy { $0.count == 2 })
            #expect(lines.dropFirst().contains { $0["gpus"]?.array?[1]["xid"] == [79] })
            #expect(
                try stage.done("cat", "run:latest/evidence/nvidia-smi.xml")
                    == "<nvidia_smi_log>-q -x</nvidia_smi_log>\n")
            try stage.expectNothingLeft()
        }

        /// Some modules in places that nothing else records.
        private func prepare() throws {
            try stage.directory.write("lib/extra/__init__.py", "from . import deep\n")
            try stage.directory.write("lib/extra/deep.py", "value = 7\n")
            try stage.directory.write("lib/unused.py", "value = 8\n")
            try stage.directory.write("project/helper.py", "import json\n")
            try stage.directory.write("project/t.py", "import helper, extra\nprint(extra.deep.value)\n")
        }

        private func launchPython(_ stage: Stage) throws -> SpawnedProgram.Result {
            try stage.start(
                "dfs-run", [Self.python, "t.py"], variables: ["PYTHONPATH": stage.directory.sub("lib")]
            ).wait()
        }

        private func files(_ kind: JSONValue, _ modules: JSONValue) -> [String] {
            let group = (modules["groups"]?.array ?? []).first { $0["kind"] == kind }
            return (group?["files"]?.array ?? []).compactMap { $0["path"]?.string }
        }

        @Test(.enabled(if: seesOpens)) func importedModulesAreExactlyThose() throws {
            try prepare()
            let run = try launchPython(stage)
            #expect(run.code == 0 && run.outputText == "7\n", "\(run.errorText)")
            let modules = try evidence("modules.json")
            let (project, lib) = (stage.project, stage.directory.sub("lib"))
            #expect(files("project", modules) == [project + "/helper.py", project + "/t.py"])
            #expect(files("outside", modules) == [lib + "/extra/__init__.py", lib + "/extra/deep.py"])
            #expect(files("standard library", modules).contains { $0.hasSuffix("/json/decoder.py") })
            #expect(!files("standard library", modules).contains { $0.hasSuffix("/sqlite3/__init__.py") })
            #expect(try stage.done("cat", "run:latest/evidence/imported\(lib)/extra/deep.py") == "value = 7\n")
            #expect(try stage.dfs("cat", "run:latest/evidence/imported\(lib)/unused.py").code != 0)
            #expect(try result()["modules"]?["coverage"] == "opens")
            try stage.expectNothingLeft()
        }

        /// Also of a job that is over before anybody could look into it.
        @Test(.enabled(if: seesOpens)) func librariesOfAShortJobAreThere() throws {
            #expect(try stage.launch("/bin/true").code == 0)
            let rows = try #require(try evidence("libraries.json")["libraries"]?.array)
            let libc = try #require(rows.first { $0["soname"] == "libc.so.6" })
            let path = try #require(libc["path"]?.string)
            #expect(
                try stage.shell("sha256sum < \(path) | cut -d' ' -f1") == libc["sha256"]?.string?.dropFirst(7) ?? "")
            #expect(try stage.done("show", "run:latest").contains("evidence/libraries.json"))
        }

        /// A user whom the kernel tells of no opens gets what can be had otherwise, and the record says so.
        @Test(.enabled(if: geteuid() == 0 && Files.exists("/usr/bin/python3")))
        func withoutPrivilegesModulesOutsideAreCopiedWhole() throws {
            let user = try OrdinaryUser()
            let stage = try Stage(programs: user.programs, prefix: user.prefix, owner: OrdinaryUser.id)
            try stage.directory.write("lib/extra/__init__.py", "value = 7\n")
            try stage.directory.write("lib/unused.py", "value = 8\n")
            try stage.directory.write("project/t.py", "import extra, time\ntime.sleep(1)\nprint(extra.value)\n")
            let run = try launchPython(stage)
            #expect(run.code == 0 && run.outputText == "7\n", "\(run.errorText)")
            let modules = try JSONValue.parse(try stage.done("cat", "run:latest/evidence/modules.json"))
            #expect(modules["coverage"]?.string?.hasPrefix("Only extension modules") == true)
            let lib = stage.directory.sub("lib")
            #expect(files("outside", modules).contains(lib + "/unused.py"))
            #expect(try stage.done("cat", "run:latest/evidence/imported\(lib)/extra/__init__.py") == "value = 7\n")
        }
    }
}
