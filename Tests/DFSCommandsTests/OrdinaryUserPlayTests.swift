import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// A mount namespace in which anybody may open /dev/fuse, and the user `nobody` in it.
final class OrdinaryUser {
    static let id: uid_t = 65534
    private let keeper: SpawnedProgram
    private let folder: TemporaryDirectory
    let programs: String
    /// Enters the namespace and becomes the user.
    let prefix: [String]
    /// Becomes the user where we are.
    let lowering = ["/usr/bin/setpriv", "--reuid=\(id)", "--regid=\(id)", "--clear-groups", "--"]

    static var mayOpenDevice: Bool {
        guard let status = try? FileStatus.of(path: "/dev/fuse", following: true) else { return false }
        return status.mode & 0o006 == 0o006
    }

    init() throws {
        folder = try TemporaryDirectory()
        programs = folder.sub("bin")
        try Files.makeDirectories(programs)
        for name in ["dfs", "dfs-run"] {
            // The build folder need not be open to everybody.
            let copy = try SpawnedProgram(
                "/bin/cp", ["\(SpawnedProgram.products)/\(name)", programs].map { Array($0.utf8) },
                variables: [:], in: "/", scratch: folder.path
            ).wait()
            try #require(copy.code == 0, "\(copy.errorText)")
        }
        let setup = """
            mkdir \(folder.path)/dev; mount -t tmpfs none \(folder.path)/dev
            mknod -m 0666 \(folder.path)/dev/fuse c 10 229; chmod 0666 \(folder.path)/dev/fuse
            mount --bind \(folder.path)/dev/fuse /dev/fuse; umount -l \(folder.path)/dev
            : > \(folder.path)/ready; exec sleep 100000
            """
        keeper = try SpawnedProgram(
            "/usr/bin/unshare", ["-m", "sh", "-ec", setup].map { Array($0.utf8) }, variables: ["PATH": "/usr/bin:/bin"],
            in: "/", scratch: folder.path)
        prefix = ["/usr/bin/nsenter", "--mount=/proc/\(keeper.process)/ns/mnt", "--"] + lowering
        Stage.eventually("the namespace") { Files.exists(folder.sub("ready")) }
    }

    deinit {
        kill(keeper.process, SIGKILL)
        _ = try? keeper.wait()
    }
}

extension PlayWithMounts {
    /// The main flow for a user without privileges, through fusermount3 and a user namespace. Root plays it, since
    /// only root can open the device to others.
    @Suite(.enabled(if: geteuid() == 0 && Files.exists("/usr/bin/fusermount3"))) struct OrdinaryUserPlayTests {
        private let user: OrdinaryUser
        private let stage: Stage

        init() throws {
            user = try OrdinaryUser()
            stage = try Self.prepared(Stage(programs: user.programs, prefix: user.prefix, owner: OrdinaryUser.id))
        }

        private static func prepared(_ stage: Stage) throws -> Stage {
            try stage.directory.write("data/x", "frozen\n")
            try stage.directory.write(
                "project/train.sh", "cat ./data/x/x\necho trained on $(cat data/x/x) > model.txt\n")
            try stage.directory.write("project/.gitignore", ".venv\n")
            try stage.directory.write("project/.venv/bin/tool", "#!/bin/sh\necho tool\n", mode: 0o755)
            let owner = "\(OrdinaryUser.id):\(OrdinaryUser.id)"
            let chown = try SpawnedProgram(
                "/bin/chown", ["-R", owner, stage.directory.path].map { Array($0.utf8) }, variables: [:], in: "/",
                scratch: stage.directory.sub("scratch")
            ).wait()
            try #require(chown.code == 0, "\(chown.errorText)")
            try stage.done("commit", "x", stage.directory.sub("data"))
            return stage
        }

        @Test func aScriptThatKnowsNothingOfThis() throws {
            let before = try stage.fingerprint(stage.project)
            let result = try stage.launch(
                "--data", "./data/x=x", "--", "sh", "-c",
                "id -u; sh train.sh; .venv/bin/tool; echo o > /deepops/self/outputs/o; echo no >> .venv/bin/tool || echo read-only"
            )
            #expect(result.code == 0, "\(result.errorText)")
            #expect(result.outputText == "\(OrdinaryUser.id)\nfrozen\ntool\nread-only\n")
            #expect(!result.errorText.contains("copied"), "\(result.errorText)")
            #expect(try stage.fingerprint(stage.project) == before)
            #expect(try stage.done("cat", "run:latest/work/model.txt") == "trained on frozen\n")
            #expect(try stage.done("cat", "run:latest/outputs/o") == "o\n")
            let record = try #require(try stage.json("show", "latest")["record"])
            #expect(record["result"]?["served"] == "fuse" && record["result"]?["working-directory"] == "overlay")
            try stage.expectNothingLeft()
        }

        /// Names are bytes, and the job takes away its own permissions.
        @Test func whatTheJobHidesFromItselfIsRecorded() throws {
            let script = """
                f=$DFS_OUTPUTS/$(printf 'bad\\377'); echo hidden > "$f"; chmod 0 "$f"
                mkdir $DFS_OUTPUTS/d; echo deep > $DFS_OUTPUTS/d/f; chmod 0 $DFS_OUTPUTS/d $DFS_OUTPUTS; exit 3
                """
            let result = try stage.launch("--", "sh", "-c", script)
            #expect(result.code == 3, "\(result.errorText)")
            #expect(try stage.done("cat", "run:latest/outputs/d/f") == "deep\n")
            let dfs = "\(user.programs)/dfs"
            #expect(try stage.shell("\(dfs) cat \"$(printf 'run:latest/outputs/bad\\377')\"") == "hidden")
            try stage.expectNothingLeft()
        }

        /// The mount is in the user's namespace, so the user's own programs look at it.
        @Test func mountAndUnmount() throws {
            let mount = stage.directory.sub("mnt")
            try stage.shell("mkdir \(mount)")
            #expect(try stage.launch("--data", "x", "--", "sh", "-c", "echo m > model.txt").code == 0)
            #expect(try stage.done("mount", mount) == mount + "\n")
            #expect(try stage.shell("diff -r --no-dereference data \(mount)/datasets/x/v1 && echo same") == "same")
            #expect(try stage.shell("cat \(mount)/runs/latest/work/model.txt") == "m")
            #expect(try stage.shell("echo w > \(mount)/datasets/x/v1/x || echo refused") == "refused")
            let row = try stage.json("mounts")
            #expect(row["state"]?.string == "serving")
            // A dead server is replaced here as well.
            func process(_ member: String) throws -> pid_t {
                try #require(try stage.json("mounts")[member]?.integer.map { pid_t($0) })
            }
            for signal in [SIGKILL, SIGSTOP] {
                try #require(kill(try process("pid"), signal) == 0)
                #expect(try stage.shell("cat \(mount)/datasets/x/latest/x") == "frozen")
            }
            Stage.eventually("two replacements") { try stage.json("mounts")["restarts"] == 2 }
            // Nor one that nobody replaces.
            let server = try process("pid")
            try #require(kill(try process("supervisor"), SIGKILL) == 0 && kill(server, SIGKILL) == 0)
            Stage.eventually("the end of the server") { try stage.json("mounts")["state"]?.string == "dead" }
            try stage.done("mount", mount)
            #expect(try stage.shell("cat \(mount)/datasets/x/latest/x") == "frozen")
            try stage.done("umount", mount)
            #expect(try stage.shell("grep -c \(mount) /proc/self/mountinfo || true") == "0")
            try stage.expectNothingLeft()
        }

        /// Only root may mount images: everything is as it was without them, unless they are asked for.
        @Test func noSealedViews() throws {
            let mount = stage.directory.sub("mnt")
            try stage.shell("mkdir \(mount)")
            let sealed = try stage.dfs("mount", "--seal", "x", mount)
            #expect(sealed.code == 2, "\(sealed.code) \(sealed.errorText)")
            #expect(
                sealed.errorText.contains("cause: only root may mount an image\nhint: dfs mount\n"),
                "\(sealed.errorText)")
            let run = try stage.launch("--serve", "sealed", "--data", "x", "--", "true")
            #expect(run.code == 123, "\(run.code) \(run.errorText)")
            #expect(run.errorText.contains("cause: only root may mount an image"), "\(run.errorText)")
            #expect(try stage.launch("--data", "x", "--", "true").code == 0)
            let result = try #require(try stage.json("show", "latest")["record"]?["result"])
            #expect(result["served"] == "fuse")
            #expect(result["data-served"]?["x"] == ["way": "fuse", "why": "only root may mount an image"])
            try stage.expectNothingLeft()
        }

        @Test(.enabled(if: !Files.exists("/deepops"))) func theDefaultMountpointIsAtHome() throws {
            let place = try stage.done("mount")
            #expect(place == stage.home + "/deepops\n")
            #expect(try stage.shell("cat home/deepops/datasets/x/v1/x") == "frozen")
            try stage.done("umount")
            try stage.expectNothingLeft()
        }

        /// Nobody tells an ordinary user of opens but the run's own server.
        @Test func accessesAndDenials() throws {
            let script = """
                cd $DFS_DATA_X; cat x; ls closed; cat closed/y; cat /deepops/datasets/x/v2/closed/y; cat ~-/train.sh > /dev/null
                """
            try stage.shell("mkdir -p data/closed; echo secret > data/closed/y")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let result = try stage.launch("--data", "x", "--deny", "x/closed", "--", "bash", "-c", script)
            #expect(result.outputText == "frozen\n", "\(result.outputText)\(result.errorText)")
            #expect(result.errorText.contains("denied: 3 attempts"), "\(result.errorText)")
            let names = try stage.start("dfs", ["access", "latest", "--quiet"]).wait().outputText.split(separator: "\n")
            #expect(names.count == 2 && names[1] == "x@v2/x" && names[0].hasSuffix("/train.sh"), "\(names)")
            #expect(try stage.json("show", "run:latest")["record"]?["result"]?["access"]?["complete"] == true)
        }

        /// Outside the namespace the device is root's: data is copied, and all else holds.
        @Test(.enabled(if: !OrdinaryUser.mayOpenDevice)) func withoutFuseTheDataIsACopy() throws {
            let stage = try Self.prepared(Stage(programs: user.programs, prefix: user.lowering, owner: OrdinaryUser.id))
            let before = try stage.fingerprint(stage.project)
            let result = try stage.launch("--data", "./data/x=x", "--", "sh", "train.sh")
            #expect(result.code == 0 && result.outputText == "frozen\n", "\(result.errorText)")
            #expect(result.errorText.contains("data is copied for this run"), "\(result.errorText)")
            let access = try stage.json("show", "run:latest")["record"]?["result"]?["access"]
            #expect(access?["complete"] == false, "\(access?.canonicalText ?? "")")
            #expect(access?["data"]?["x"]?["unknown"]?.string?.contains("copy") == true)
            #expect(access?["code"]?["unknown"] != nil)
            // What cannot be kept from a job is refused before there is a run.
            let denied = try stage.launch("--data", "x", "--deny", "x", "--", "true")
            #expect(denied.code == 123 && denied.errorText.contains("/dev/fuse"), "\(denied.errorText)")
            #expect(try stage.fingerprint(stage.project) == before)
            #expect(try stage.done("cat", "run:latest/work/model.txt") == "trained on frozen\n")
            #expect(try stage.json("show", "latest")["record"]?["result"]?["served"] == "copy")
            try stage.shell("mkdir mnt")
            let mount = try stage.dfs("mount", stage.directory.sub("mnt"))
            #expect(mount.code == 2, "\(mount.errorText)")
            #expect(mount.errorText.contains("cause: /dev/fuse cannot be opened"), "\(mount.errorText)")
            try stage.expectNothingLeft()
        }
    }
}
