import DFSModel
import DFSRuns
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// What a run opened is in its record, whichever way its data is served; and what was denied to it.
    @Suite struct AccessPlayTests {
        enum Way: String, CaseIterable, Sendable {
            case sealed, fuse
            static var available: [Way] { Stage.canSeal ? [.sealed, .fuse] : [.fuse] }
        }

        private let stage: Stage

        init() throws { stage = try Stage() }

        private func prepare() throws {
            for i in 1...30 {
                try stage.directory.write("data/train/\(i).txt", "train \(i)\n")
                try stage.directory.write("data/test/\(i).txt", "test \(i)\n")
            }
            try stage.directory.write("data/odd/a b%20\"ü", "odd\n")
            try stage.directory.write("data/tool", "#!/bin/sh\necho tool\n", mode: 0o755)
            try stage.directory.write("data/empty", "")
            try stage.done("commit", "faces", stage.directory.sub("data"))
            try stage.directory.write("project/helper.py", "VALUE = 1\n")
            try stage.directory.write("project/unused.py", "VALUE = 2\n")
        }

        /// Names and digests of what the last run opened.
        private func opened(_ reference: String = "latest") throws -> [String: String] {
            let result = try stage.start("dfs", ["access", reference, "--json"]).wait()
            try #require(result.code == 0, "\(result.errorText)")
            var out = [String: String]()
            for line in result.outputText.split(separator: "\n") {
                let json = try JSONValue.parse(Array(line.utf8))
                let name = try #require(json["name"]?.string)
                #expect(out[name] == nil, "\(name) is listed twice")
                out[name] = json["digest"]?.string ?? ""
            }
            return out
        }

        private func statement(_ reference: String = "latest") throws -> JSONValue {
            try JSONValue.parse(Array(try stage.done("cat", "run:\(reference)/evidence/access.json").utf8))
        }

        private func summary(_ reference: String = "latest") throws -> JSONValue {
            try #require(try stage.json("show", "run:" + reference)["record"]?["result"]?["access"])
        }

        private func digest(_ path: String) throws -> String {
            "sha256:" + (try stage.shell("sha256sum < '\(stage.directory.sub(path))'").prefix(64))
        }

        @Test(arguments: Way.available) func exactlyWhatWasOpened(_ way: Way) throws {
            try prepare()
            let script = """
                cd $DFS_DATA_FACES; ls -lR > /dev/null; stat train/9.txt > /dev/null
                cat train/1.txt; (cat train/2.txt &); wait; ./tool; cat odd/*
                python3 -c 'import mmap; f = open("train/3.txt"); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:]'
                for i in 1 2 3; do cat train/1.txt train/2.txt; done
                cd - > /dev/null; python3 -B -c 'import helper'
                """
            let result = try stage.launch("--serve", way.rawValue, "--data", "faces", "--", "sh", "-ec", script)
            #expect(result.code == 0, "\(result.errorText)")
            let expected = ["train/1.txt", "train/2.txt", "train/3.txt", "tool", "odd/a b%20\"ü"]
            let opened = try opened()
            let data = opened.filter { $0.key.hasPrefix("faces@v1/") }
            #expect(
                Set(data.keys) == Set(expected.map { "faces@v1/" + NameText.encode(Array($0.utf8)) }), "\(data.keys)")
            for name in expected {
                #expect(try data["faces@v1/" + NameText.encode(Array(name.utf8))] == digest("data/" + name), "\(name)")
            }
            let code = opened.keys.filter { $0.hasPrefix("code:project@") }
            #expect(code.count == 1 && code.first?.hasSuffix("/helper.py") == true, "\(code)")

            let summary = try summary()
            #expect(summary["complete"] == true, "\(summary.canonicalText)")
            #expect(summary["data"]?["faces"]?["opened"]?.integer == 5)
            #expect(summary["data"]?["faces"]?["of"]?.integer == 63)
            #expect(summary["data"]?["faces"]?["way"]?.string == way.rawValue)
            #expect(try stage.done("show", "run:latest").contains("5 of 63 files of faces@v1 opened"))
            let statement = try statement()
            #expect(statement["_type"] == "https://in-toto.io/Statement/v1")
            #expect(statement["predicateType"] == "https://in-toto.io/attestation/runtime-trace/v0.1")
            #expect(statement["subject"]?.array?.first?["digest"]?["sha256"]?.string?.count == 64)
            #expect(statement["predicate"]?["dfsCoverage"]?["gaps"] == [])
            #expect(try stage.dfs("verify").code == 0)
            try stage.expectNothingLeft()
        }

        /// Two passes over many files by several threads and processes.
        @Test(arguments: Way.available) func manyFilesAtOnce(_ way: Way) throws {
            let count = way == .sealed ? 20_000 : 4000
            try stage.shell(
                "mkdir data; python3 -c 'for i in range(\(count)): open(\"data/f%05d\" % i, \"w\").write(str(i))'")
            try stage.done("commit", "many", stage.directory.sub("data"))
            try stage.directory.write(
                "project/read.py",
                """
                import multiprocessing, os, threading
                base = os.environ["DFS_DATA_MANY"]
                names = sorted(os.listdir(base))[:-1]
                def read(part):
                    for _ in range(2):
                        for name in names[part::8]: open(base + "/" + name, "rb").read()
                def threads(part):
                    all = [threading.Thread(target=read, args=(part + i,)) for i in range(4)]
                    [t.start() for t in all]; [t.join() for t in all]
                with multiprocessing.Pool(2) as pool: pool.map(threads, [0, 4])
                """)
            let result = try stage.launch("--serve", way.rawValue, "--data", "many", "--", "python3", "-B", "read.py")
            #expect(result.code == 0, "\(result.errorText)")
            let data = try opened().filter { $0.key.hasPrefix("many@v1/") }
            #expect(data.count == count - 1 && data.values.allSatisfy { $0.count == 71 }, "\(data.count)")
            #expect(try summary()["complete"] == true)
        }

        @Test(.enabled(if: Stage.canSeal)) func runsOnOneImageDoNotMix() throws {
            try prepare()
            let script = "touch ../$0; while [ ! -e ../go ]; do sleep 0.02; done; cat $DFS_DATA_FACES/train/$0.txt"
            let runs = try [1, 2].map { i in
                try stage.start(
                    "dfs-run",
                    ["--serve", "sealed", "--tag", "t\(i)", "--data", "faces", "--", "sh", "-ec", script, "\(i)"])
            }
            Stage.eventually("both runs") { [1, 2].allSatisfy { Files.exists(stage.directory.sub("\($0)")) } }
            // From outside, through the mount that both have bound.
            _ = try? stage.shell("cat run/dfs/sealed/*/train/3.txt")
            try stage.directory.write("go", "")
            for run in runs { #expect(try run.wait().code == 0) }
            for line in try stage.start("dfs", ["runs", "--json"]).wait().outputText.split(separator: "\n") {
                let run = try JSONValue.parse(Array(line.utf8))
                let tag = try #require(run["tags"]?.array?.first?.string)
                let names = try opened(try #require(run["run"]?.string)).keys.filter { $0.hasPrefix("faces@") }
                #expect(Array(names) == ["faces@v1/train/\(tag.suffix(1)).txt"], "\(tag) \(names)")
            }
        }

        @Test(arguments: Way.available) func aKilledRunKeepsWhatWasSeen(_ way: Way) throws {
            try prepare()
            let run = try stage.start(
                "dfs-run",
                [
                    "--serve", way.rawValue, "--data", "faces", "--", "sh", "-ec",
                    "cat $DFS_DATA_FACES/train/4.txt; sleep 1; echo > ../seen; sleep 1000",
                ])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("seen")) }
            kill(run.process, SIGKILL)
            _ = try run.wait()
            Stage.eventually("no server") { try stage.processes().isEmpty }
            #expect(try opened().keys.filter { $0.hasPrefix("faces@") } == ["faces@v1/train/4.txt"])
            #expect(try opened()["faces@v1/train/4.txt"] == digest("data/train/4.txt"))
            let summary = try summary()
            #expect(summary["complete"] == false)
            let gaps = try statement()["predicate"]?["dfsCoverage"]?["gaps"]?.array ?? []
            #expect(gaps.first?.string?.contains("launcher was killed") == true, "\(gaps)")
            #expect(try stage.done("ls", "run:latest/evidence").contains("access-kernel.jsonl"))
        }

        /// A server that dies takes a moment with it, and the record says so.
        @Test func aReplacedServerIsNamed() throws {
            try prepare()
            let script = """
                cat $DFS_DATA_FACES/train/1.txt; sleep 1; echo > ../killable
                while [ ! -e ../killed ]; do sleep 0.02; done
                cat $DFS_DATA_FACES/train/2.txt
                """
            let run = try stage.start("dfs-run", ["--serve", "fuse", "--data", "faces", "--", "sh", "-ec", script])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("killable")) }
            kill(try stage.process("__serve"), SIGKILL)
            try stage.directory.write("killed", "")
            let result = try run.wait()
            #expect(result.code == 0 && result.outputText == "train 1\ntrain 2\n", "\(result.errorText)")
            let names = try opened().keys.filter { $0.hasPrefix("faces@") }
            #expect(Set(names) == ["faces@v1/train/1.txt", "faces@v1/train/2.txt"])
            let gaps = try statement()["predicate"]?["dfsCoverage"]?["gaps"]?.array ?? []
            #expect(gaps.count == 1 && gaps.first?.string?.contains("server was replaced") == true, "\(gaps)")
            #expect(try summary()["complete"] == false)
        }

        /// Killed with its supervisor, before it wrote anything of what was read: the record does not pass for complete.
        @Test func aServerThatIsGoneForGoodIsNamed() throws {
            try prepare()
            let script =
                "echo > \(stage.directory.sub("began")); while [ ! -e \(stage.directory.sub("gone")) ]; do sleep 0.02; done"
            let run = try stage.start("dfs-run", ["--", "sh", "-c", script])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("began")) }
            // Stopped first: it would end in order when it finds itself alone.
            let (server, supervisor) = (try stage.process("__serve"), try stage.process("__supervise"))
            kill(server, SIGSTOP)
            for process in [supervisor, server] { kill(process, SIGKILL) }
            try stage.directory.write("gone", "")
            let result = try run.wait()
            #expect(result.code == 0, "\(result.errorText)")
            let coverage = try statement()["predicate"]?["dfsCoverage"]
            #expect(coverage?["code"]?["monitor"] == "fuse" && coverage?["complete"] == false, "\(coverage ?? .null)")
            #expect(coverage?["gaps"]?.array?.isEmpty == false)
            #expect(try summary()["complete"] == false)
        }

        @Test func itCanBeTurnedOff() throws {
            try prepare()
            #expect(
                try stage.launch("--no-access", "--data", "faces", "--", "sh", "-c", "cat $DFS_DATA/faces/tool").code
                    == 0)
            #expect(try summary() == ["none": "--no-access"])
            #expect(try stage.done("show", "run:latest").contains("not recorded: --no-access"))
            let result = try stage.dfs("access", "latest")
            #expect(result.code == 11 && result.errorText.contains("--no-access"))
        }

        // MARK: The firewall

        @Test(arguments: Way.available) func theTestSetStaysClosed(_ way: Way) throws {
            try prepare()
            try stage.directory.write("data/test/1.txt", "changed\n")
            try stage.done("commit", "faces", stage.directory.sub("data"))
            let script = """
                cd $DFS_DATA_FACES
                for command in "ls test" "cat test/1.txt" "cat test/absent" "cp -r test /tmp/dfs-never" \\
                    "cat /deepops/datasets/faces/v1/test/2.txt" "cat /deepops/datasets/faces/latest/test/2.txt" \\
                    "cat $PLACE/test/3.txt"; do
                    $command > /dev/null 2> ../../outputs/error && echo "open: $command"
                    grep -q "Permission denied" ../../outputs/error || echo "other: $command: $(cat ../../outputs/error)"
                done
                python3 -c '
                import os
                for act in (lambda: os.listdir("test"), lambda: open("test/1.txt"), lambda: os.stat("test/1.txt")):
                    try: act(); print("open")
                    except PermissionError: pass'
                stat -c %F test; ls; cat train/1.txt $PLACE/train/2.txt; id -u
                cat $SEALED/*/test/1.txt 2> /dev/null && echo open: sealed; true
                """
            let place = stage.directory.sub("elsewhere")
            let result = try stage.start(
                "dfs-run",
                [
                    "--serve", way.rawValue, "--data", "faces@v1", "--data", place + "=faces@v2", "--deny",
                    "faces/test", "--",
                    "sh", "-c", script,
                ], variables: ["PLACE": place, "SEALED": stage.runtime + "/dfs/sealed"]
            ).wait()
            #expect(result.code == 0, "\(result.errorText)")
            #expect(
                result.outputText
                    == "directory\nempty\nodd\ntest\ntool\ntrain\ntrain 1\ntrain 2\n\(geteuid())\n",
                "\(result.outputText)\(result.errorText)")
            #expect(!Files.exists("/tmp/dfs-never/1.txt"))
            #expect(result.errorText.contains("denied: "), "\(result.errorText)")
            let attempts = try #require(try summary()["denied"]?.integer)
            #expect(attempts >= 10)
            let denied = try statement()["predicate"]?["dfsDenied"]?.array ?? []
            let first = try #require(denied.first { $0["name"] == "faces@v1/test/1.txt" }, "\(denied)")
            #expect(first["operation"] == "lookup" && first["command"] == "cat")
            #expect(first["pid"]?.integer ?? 0 > 0 && first["count"]?.integer ?? 0 >= 2)
            #expect(denied.contains { $0["name"] == "faces@v2/test/3.txt" }, "\(denied)")
            #expect(denied.contains { $0["name"] == "faces@v1/test" && $0["operation"] == "list" })
            #expect(try stage.done("access", "latest", "--denied").contains("faces@v1/test/absent"))
            #expect(try Set(opened().keys) == ["faces@v1/train/1.txt", "faces@v2/train/2.txt"])
            rmdir("/tmp/dfs-never/test")
            rmdir("/tmp/dfs-never")
            try stage.expectNothingLeft()
        }

        /// What the host has mounted of the store shows no more than the run's own view.
        @Test func mountsOfTheHostAreClosedToo() throws {
            try prepare()
            try stage.mounted { mount in
                let script = """
                    cat \(mount)/datasets/faces/v1/test/1.txt; cat \(mount)/datasets/faces/v1/train/1.txt
                    """
                let result = try stage.launch("--deny", "faces@v1/test", "--", "sh", "-c", script)
                #expect(result.code == 0 && result.outputText == "train 1\n", "\(result.errorText)")
                #expect(try stage.text(mount + "/datasets/faces/v1/test/1.txt") == "test 1\n")
            }
        }

        /// Sealed views too: also where the denied bytes have another name, in another dataset, or in a snapshot of code.
        @Test(.enabled(if: Stage.canSeal)) func sealedMountsOfTheHostAreClosedToo() throws {
            try prepare()
            try stage.shell("mv data/test data/holdout")
            try stage.done("commit", "faces", stage.directory.sub("data"))
            try stage.done("commit", "copies", stage.directory.sub("data"))
            try stage.shell("cp data/holdout/1.txt data/single.txt; rm -r data/holdout")
            try stage.done("commit", "singles", stage.directory.sub("data"))
            try Files.makeDirectories(stage.directory.sub("project/fixtures"))
            try stage.done("export", "faces@v1/test", stage.directory.sub("project/fixtures/faces"))
            let code = try #require(try stage.json("code", "snapshot")["reference"]?.string)
            var places = [String]()
            for (name, reference) in [
                ("v1", "faces@v1"), ("v2", "faces@v2"), ("other", "copies"), ("singles", "singles"), ("code", code),
            ] {
                let place = stage.directory.sub("mounts/" + name)
                try Files.makeDirectories(place)
                try stage.done("mount", "--seal", reference, place)
                places.append(place)
            }
            let base = stage.directory.sub("mounts")
            let closed = ["v1/test/1.txt", "v2/holdout/1.txt", "other/holdout/2.txt", "code/fixtures/faces/1.txt"]
            let script =
                "cd \(base); for f in \(closed.joined(separator: " ")); do cat $f && echo open: $f; done\n"
                + "cat v1/train/1.txt v2/train/2.txt other/train/3.txt code/helper.py singles/single.txt"
            let result = try stage.launch("--deny", "faces@v1/test", "--", "sh", "-c", script)
            #expect(
                result.code == 0 && result.outputText == "train 1\ntrain 2\ntrain 3\nVALUE = 1\ntest 1\n",
                "\(result.outputText)\(result.errorText)")
            #expect(try #require(try summary()["denied"]?.integer) >= 4)
            // A file, and a whole version.
            let file = try stage.launch(
                "--deny", "faces@v1/test/1.txt", "--", "sh", "-c",
                "cd \(base); cat v1/test/1.txt v2/holdout/1.txt other/holdout/1.txt singles/single.txt; cat v2/holdout/2.txt"
            )
            #expect(file.code == 0 && file.outputText == "test 2\n", "\(file.outputText)\(file.errorText)")
            let whole = try stage.launch(
                "--deny", "faces@v2", "--", "sh", "-c",
                "cd \(base); cat v2/tool other/tool; ls v2 other; cat v1/train/1.txt")
            #expect(whole.code == 0 && whole.outputText == "train 1\n", "\(whole.outputText)\(whole.errorText)")
            #expect(try stage.text(base + "/v2/holdout/1.txt") == "test 1\n")
            for place in places { try stage.done("umount", place) }
            try stage.expectNothingLeft()
        }

        /// What a run is denied, and where it is noted, is in no command line of a server.
        @Test func commandLinesTellNothing() throws {
            try prepare()
            let go = stage.directory.sub("go")
            let run = try stage.start(
                "dfs-run",
                [
                    "--deny", "faces@v1/test", "--", "sh", "-c",
                    "echo > ../on; while [ ! -e \(go) ]; do sleep 0.02; done",
                ])
            Stage.eventually("the job") { Files.exists(stage.directory.sub("on")) }
            let lines = try stage.processes().filter { $0.contains("__") }
            try stage.directory.write("go", "")
            #expect(try run.wait().code == 0)
            #expect(lines.contains { $0.contains("__serve") } && lines.contains { $0.contains("__supervise") })
            for word in ["faces", stage.store, AccessLogName.server] {
                #expect(!lines.contains { $0.contains(word) }, "\(lines)")
            }
        }

        @Test func filesAndVersionsCanBeDenied() throws {
            try prepare()
            let one = try stage.launch(
                "--data", "faces", "--deny", "faces/train/1.txt", "--", "sh", "-c",
                "cd $DFS_DATA_FACES/train; ls | wc -l; cat 2.txt; cat 1.txt")
            #expect(one.code == 1 && one.outputText == "30\ntrain 2\n", "\(one.errorText)")
            #expect(try summary()["data"]?["faces"]?["way"] == "fuse")
            let all = try stage.launch(
                "--data", "faces", "--deny", "faces", "--", "sh", "-c", "cat $DFS_DATA_FACES/tool; echo over")
            #expect(all.code == 0 && all.outputText == "over\n", "\(all.errorText)")
            #expect(all.errorText.contains("denied: 1 attempt"), "\(all.errorText)")
        }

        @Test func whatCannotBeDeniedIsRefused() throws {
            try prepare()
            for (reference, code) in [("faces/absent", 11), ("nobody", 11), ("run:latest", 64)] as [(String, Int32)] {
                let result = try stage.launch("--data", "faces", "--deny", reference, "--", "touch", "ran")
                #expect(result.code == code, "\(reference): \(result.errorText)")
            }
            #expect(try stage.start("dfs", ["runs", "--json"]).wait().outputText.isEmpty)
        }
    }
}
