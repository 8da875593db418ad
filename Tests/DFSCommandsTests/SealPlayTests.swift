import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// Sealed views as their users meet them: `dfs mount --seal`, and the data of runs.
    @Suite(.enabled(if: Stage.canSeal)) struct SealPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        /// A dataset `x` of which something is inline, something mapped and something copied.
        private func prepare() throws {
            var random = SeededGenerator(seed: 21)
            try stage.directory.write("data/x", "frozen\n")
            try stage.directory.write("data/sub/raw", random.bytes(50_000))
            try stage.directory.write("data/sub/text", String(repeating: "compressible\n", count: 5000))
            try stage.done("commit", "x", stage.directory.sub("data"))
        }

        private func mountpoint(_ name: String) throws -> String {
            let path = stage.directory.sub(name)
            try Files.makeDirectories(path)
            return path
        }

        private func seal(_ reference: String = "x", at name: String = "sealed") throws -> String {
            let path = try mountpoint(name)
            #expect(try stage.done("mount", "--seal", reference, path) == path + "\n")
            return path
        }

        private func process(_ word: String) throws -> pid_t? {
            try stage.processes().first { $0.contains(word) }?.split(separator: " ").first.flatMap { pid_t($0) }
        }

        private func isSameAsSource(_ path: String) throws -> Bool {
            try stage.shell("diff -r --no-dereference data \(path) && echo same") == "same"
        }

        // MARK: What is shown

        /// But for sizes of directories and of blocks, which are each file system's own.
        @Test(.enabled(if: Files.isDirectory("/usr/share/zoneinfo"))) func aSealedViewIsWhatFuseShows() throws {
            try prepare()
            try stage.shell("cp -a /usr/share/zoneinfo/Europe data/zones; ln -s nowhere data/link; mkdir data/empty")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let sealed = try seal()
            try stage.mounted { mount in
                let served = mount + "/datasets/x/v2"
                #expect(try isSameAsSource(sealed))
                #expect(try stage.shell("diff -r --no-dereference \(served) \(sealed) && echo same") == "same")
                let facts = """
                    find . -mindepth 1 \\( -type d -printf '%P|%m|%T@|%U|%G\\n' -o -printf '%P|%y|%m|%s|%T@|%l|%U|%G|%n\\n' \\) | sort
                    """
                let (one, two) = (try stage.shell(facts, in: served), try stage.shell(facts, in: sealed))
                #expect(one == two)
                for name in try stage.shell("find . ! -type l", in: sealed).split(separator: "\n") {
                    let (one, two) = (try attributes("\(served)/\(name)"), try attributes("\(sealed)/\(name)"))
                    #expect(one == two && !one.isEmpty, "\(name)")
                }
            }
            try stage.done("umount", sealed)
            try stage.expectNothingLeft()
        }

        private func attributes(_ path: String) throws -> [String: [UInt8]] {
            var found = [String: [UInt8]]()
            for name in try ExtendedAttributes.names(of: path) {
                let name = String(decoding: name, as: UTF8.self)
                found[name] = try ExtendedAttributes.get(name, of: path)
            }
            return found
        }

        @Test func whatIsSaidOfIt() throws {
            try prepare()
            let path = try mountpoint("sealed")
            let report = try stage.json("mount", "--seal", "x@v1", path)
            #expect(report["schema"]?.string == "dfs.seal/1" || report["mountpoint"]?.string == path)
            #expect(report["serve"] == "sealed" && report["files"]?.integer == 3, "\(report)")
            #expect(report["mapped_bytes"]?.integer == 50_000 && report["copied_bytes"]?.integer == 65_000, "\(report)")
            let row = try stage.json("mounts")
            #expect(row["mountpoint"]?.string == path && row["serve"] == "sealed" && row["state"] == "serving")
            #expect(row["pid"] == .null && row["stats"] == .null && row["store"]?.string == stage.store, "\(row)")
            let table = try stage.done("mounts")
            #expect(table.contains("sealed") && table.contains(path), "\(table)")
            #expect(try stage.shell("{ echo w > sealed/x; } 2>&1 || true").contains("Read-only file system"))
            try stage.done("umount", path)
            #expect(try stage.done("mounts", "--json").isEmpty)
            #expect(try DirectoryListing.names(of: path).isEmpty)
            try stage.expectNothingLeft()
        }

        @Test func codeAndOlderVersions() throws {
            try prepare()
            try stage.directory.write("data/x", "thawed\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write("project/train.sh", "echo trained\n")
            #expect(try stage.launch("--", "sh", "train.sh").code == 0)
            let (one, code) = (try seal("x@v1", at: "one"), try seal("code:project", at: "code"))
            #expect(try stage.text(one + "/x") == "frozen\n")
            #expect(try stage.text(code + "/train.sh") == "echo trained\n")
            for path in [one, code] { try stage.done("umount", path) }
            try stage.expectNothingLeft()
        }

        @Test func twoMountsAreOneFileSystem() throws {
            try prepare()
            let (one, two) = (try seal(at: "one"), try seal("x@v1", at: "two"))
            let devices = try [one, two].map { try FileStatus.of(path: $0)?.device }
            #expect(devices[0] == devices[1] && devices[0] != nil)
            try stage.done("umount", one)
            #expect(try isSameAsSource(two))
            let again = try seal(at: "one")
            #expect(try FileStatus.of(path: again)?.device == devices[1])
            for path in [again, two] { try stage.done("umount", path) }
            try stage.expectNothingLeft()
        }

        /// What was mounted has the files of then: whoever repaired a pack wants the new one.
        @Test func packsThatWerePutBackAreMountedAnew() throws {
            try prepare()
            let one = try seal(at: "one")
            try stage.shell("for p in store/packs/*/*.pack; do cp $p $p.copy; mv $p.copy $p; done")
            let two = try seal(at: "two")
            let devices = try [one, two].map { try FileStatus.of(path: $0)?.device }
            #expect(devices[0] != devices[1])
            for path in [one, two] {
                #expect(try isSameAsSource(path))
                try stage.done("umount", path)
            }
            try stage.expectNothingLeft()
        }

        /// The store's own directory says who may enter.
        @Test func othersAreKeptOut() throws {
            try prepare()
            let own = try seal(at: "own")
            let shared = try mountpoint("shared")
            try stage.shell("chmod 755 store")
            try stage.done("mount", "--seal", "x", shared, "--allow-other")
            try stage.shell("chmod 700 store")
            let closed = try mountpoint("closed")
            try stage.done("mount", "--seal", "x", closed, "--allow-other")
            let modes = try [own, shared, closed].map { try FileStatus.of(path: $0)?.mode }
            #expect(modes == [0o700, 0o755, 0o700])
            for path in [own, shared, closed] { try stage.done("umount", path) }
            try stage.expectNothingLeft()
        }

        /// The kernel opens the files behind an image all at once.
        @Test func moreFilesThanMayBeOpen() throws {
            var random = SeededGenerator(seed: 22)
            try stage.shell("rm -rf store")
            try stage.done("init", "--single-file", "8K", stage.store)
            for i in 0..<60 { try stage.directory.write("data/\(i)", random.bytes(12_288)) }
            try stage.done("commit", "x", stage.directory.sub("data"))
            let path = try mountpoint("sealed")
            // 256 are kept for other uses.
            try stage.shell("ulimit -n 290; \(stage.programs)/dfs mount --seal x \(path)")
            #expect(try isSameAsSource(path))
            try stage.done("umount", path)
            try stage.expectNothingLeft()
        }

        /// Not a reason to serve the data another way.
        @Test(arguments: ["DFS_VIEW_LINGER": "-3", "DFS_CACHE_LIMIT": "much"])
        func settingsThatMeanNothing(_ name: String, _ value: String) throws {
            try prepare()
            let result = try stage.start("dfs-run", ["--data", "x", "--", "true"], variables: [name: value]).wait()
            #expect(result.code == 125 || result.code == 64, "\(result.code)")
            #expect(result.errorText.contains("error: \(name)=\(value)"), "\(result.errorText)")
            #expect(try stage.dfs("runs").outputText.isEmpty)
        }

        // MARK: Ends

        @Test func aPlainUnmountIsNoticed() throws {
            try prepare()
            let path = try seal()
            try stage.shell("umount \(path)")
            try stage.expectNothingLeft()
            #expect(try stage.done("mounts", "--json").isEmpty)
            #expect(try stage.dfs("umount", path).code == 11)
        }

        @Test func aMountInUseStays() throws {
            try prepare()
            let path = try seal()
            let held = try OwnedDescriptor.open(path + "/sub/text", O_RDONLY)
            let busy = try stage.dfs("umount", path)
            #expect(busy.code == 2 && busy.errorText.contains("is in use"), "\(busy.errorText)")
            #expect(busy.errorText.hasSuffix("hint: dfs umount --lazy \(path)\n"), "\(busy.errorText)")
            #expect(try isSameAsSource(path))
            try stage.done("umount", "--lazy", path)
            let bytes = try Files.read(held, what: "what is held")
            #expect(bytes.count == 65_000)
            try stage.expectNothingLeft()
        }

        @Test func aKilledKeeperLeavesTheMount() throws {
            try prepare()
            let path = try seal()
            let keeper = try #require(try process("__keep"))
            try #require(kill(keeper, SIGKILL) == 0)
            Stage.eventually("its end") { kill(keeper, 0) != 0 }
            #expect(try isSameAsSource(path))
            #expect(try stage.json("mounts")["state"] == "serving")
            // The next one who wants the view gives it another.
            let second = try seal(at: "second")
            #expect(try FileStatus.of(path: second)?.device == FileStatus.of(path: path)?.device)
            #expect(try process("__keep") != nil)
            for path in [path, second] { try stage.done("umount", path) }
            try stage.expectNothingLeft()
        }

        /// The image may be half written, mounted or not; with nobody to look after it or with somebody.
        @Test(arguments: [("write", 9), ("fsync", 5), ("rename", 5), ("mount", 12), ("mkdir", 3)])
        func killedWhileItIsMade(_ kind: String, _ calls: Int) throws {
            try prepare()
            var killed = 0
            for call in 1...calls {
                let path = try mountpoint("sealed")
                let first = try stage.start(
                    "dfs", ["mount", "--seal", "x", path], variables: ["DFS_FAULT": "\(kind):\(call):kill"]
                ).wait()
                if first.code == 137 { killed += 1 }
                if try stage.mounts().contains(path) { try stage.done("umount", path) }
                #expect(try isSameAsSource(try seal()))
                try stage.done("umount", path)
                // So that the next one makes it anew.
                try stage.shell("rm -rf home/cache/dfs/*/views home/cache/dfs/*/hot")
            }
            #expect(killed > 1, "\(killed) of \(calls)")
            try stage.expectNothingLeft()
            #expect(try stage.dfs("verify", "--data").code == 0)
        }

        // MARK: Errors

        @Test func whatCannotBe() throws {
            try prepare()
            let path = try mountpoint("sealed")
            func refused(
                _ code: Int32, _ text: String, _ arguments: String..., location: SourceLocation = #_sourceLocation
            )
                throws
            {
                let result = try stage.start("dfs", ["mount", "--seal"] + arguments).wait()
                #expect(
                    result.code == code && result.errorText.contains(text), "\(result.code) \(result.errorText)",
                    sourceLocation: location)
                #expect(result.errorText.contains("\nhint: "), "\(result.errorText)", sourceLocation: location)
            }
            try refused(11, "no-such", "no-such", path)
            try refused(11, "x@v9", "x@v9", path)
            try refused(64, "needs a directory", "x")
            try refused(64, "only a whole version", "x/sub", path)
            try refused(2, "there is no directory", "x", path + "/absent")
            try refused(2, "not empty", "x", stage.project + "/..")
            #expect(try stage.launch("--", "true").code == 0)
            try refused(11, "is not a tree", "run:latest", path)
            #expect(try seal() == path)
            try refused(2, "is a mount already", "x", path)
            try stage.done("umount", path)
            try stage.expectNothingLeft()
        }

        @Test func damageIsNotMounted() throws {
            try prepare()
            // Another host, which has checked nothing yet.
            try stage.shell(
                "rm -r home/cache; f=$(find store/packs -size +40k -name '*.pack'); printf X | dd of=$f bs=1 seek=20000 conv=notrunc"
            )
            let path = try mountpoint("sealed")
            let result = try stage.dfs("mount", "--seal", "x", path)
            #expect(result.code == 1 && result.errorText.contains("pack "), "\(result.code) \(result.errorText)")
            #expect(result.errorText.contains("hint: dfs verify --data"), "\(result.errorText)")
            let run = try stage.launch("--serve", "sealed", "--data", "x", "--", "true")
            #expect(run.code != 0, "\(run.errorText)")
            try stage.expectNothingLeft()
        }

        // MARK: Runs

        private func served() throws -> (String?, JSONValue?) {
            let result = try #require(try stage.json("show", "latest")["record"]?["result"])
            return (result["served"]?.string, result["data-served"]?["x"])
        }

        /// What a run's FUSE server and its supervisor serve is not its data.
        @Test func theDataOfARunNeedsNoServer() throws {
            try prepare()
            let script = """
                echo up > $DFS_OUTPUTS/up; until [ -e $DFS_OUTPUTS/go ]; do sleep 0.05; done
                cat data/x/x data/x/sub/text | sha256sum; ls /deepops/history >/dev/null 2>&1 || echo no history
                """
            let job = try stage.start("dfs-run", ["--data", "./data/x=x", "--", "sh", "-c", script])
            Stage.eventually("the job") {
                try stage.shell("ls store/live/*/outputs 2>/dev/null || true").contains("up")
            }
            for word in ["__supervise", "__serve"] {
                let server = try #require(try process(word))
                try #require(kill(server, SIGKILL) == 0)
            }
            Stage.eventually("their end") { try process("__supervise") == nil && process("__serve") == nil }
            try stage.shell("for d in store/live/*/outputs; do touch $d/go; done")
            let result = try job.wait()
            #expect(result.code == 0, "\(result.errorText)")
            let sum = try stage.shell("cat data/x data/sub/text | sha256sum")
            #expect(result.outputText == sum + "\nno history\n")
            #expect(try served() == ("sealed", ["way": "sealed"]))
            try stage.expectNothingLeft()
        }

        @Test func fuseWhereThatIsAskedFor() throws {
            try prepare()
            let result = try stage.launch("--serve", "fuse", "--data", "./x=x", "--", "cat", "x/x")
            #expect(result.code == 0 && result.outputText == "frozen\n", "\(result.errorText)")
            #expect(try served() == ("fuse", ["way": "fuse", "why": "asked for"]))
            #expect(try stage.shell("ls home/cache/dfs/*/views 2>/dev/null || true").isEmpty)
            let sealed = try stage.launch("--serve", "sealed", "--data", "./x=x", "--", "cat", "x/x")
            #expect(sealed.code == 0 && sealed.outputText == "frozen\n", "\(sealed.errorText)")
            #expect(try served() == ("sealed", ["way": "sealed"]))
            try stage.expectNothingLeft()
        }

        /// It stays for the next run, which finds its pages cached, as long as the user wants.
        @Test func aViewLingers() throws {
            try prepare()
            let script = "stat -c %d data/x/x"
            var devices = [String]()
            for _ in 0..<2 {
                let run = try stage.start(
                    "dfs-run", ["--data", "./data/x=x", "--", "sh", "-c", script],
                    variables: ["DFS_VIEW_LINGER": "1000"]
                ).wait()
                #expect(run.code == 0, "\(run.errorText)")
                devices.append(run.outputText)
            }
            #expect(devices[0] == devices[1] && !devices[0].isEmpty)
            #expect(try stage.mounts().count == 1)
            let odd = try stage.start("dfs-run", ["--data", "x", "--", "true"], variables: ["DFS_VIEW_LINGER": "soon"])
                .wait()
            #expect(odd.errorText.contains("DFS_VIEW_LINGER=soon") || odd.code == 0, "\(odd.errorText)")
            let keeper = try #require(try process("__keep"))
            kill(keeper, SIGTERM)
            Stage.eventually("the end of the view") { try stage.mounts().isEmpty }
            try stage.expectNothingLeft()
        }

        /// A job's start does not wait for what takes long; the next one has it.
        @Test func muchDataIsSealedInTheBackground() throws {
            try stage.shell("mkdir -p data/many; cd data/many; seq 20001 | xargs touch; echo frozen > ../x")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let first = try stage.launch("--data", "./x=x", "--", "cat", "x/x")
            #expect(first.code == 0 && first.outputText == "frozen\n", "\(first.errorText)")
            let (way, data) = try served()
            #expect(way == "fuse" && data?["why"]?.string?.contains("it has 20002 files") == true, "\(data as Any)")
            Stage.eventually("its image") { try stage.shell("ls home/cache/dfs/*/views").contains(".json") }
            let second = try stage.launch("--data", "./x=x", "--", "sh", "-c", "cat x/x; ls x/many | wc -l")
            #expect(second.code == 0 && second.outputText == "frozen\n20001\n", "\(second.errorText)")
            #expect(try served() == ("sealed", ["way": "sealed"]))
            try stage.expectNothingLeft()
        }
    }
}
