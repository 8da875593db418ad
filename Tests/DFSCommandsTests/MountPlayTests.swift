import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSCommands

/// Everything that mounts in this target, one after the other: the tests look at mounts and processes of the host.
@Suite(.enabled(if: Stage.canMount), .serialized) enum PlayWithMounts {}

extension PlayWithMounts {
    /// `dfs mount` as its user meets it.
    @Suite struct MountPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        private static let facts = #"find . -printf '%P|%y|%m|%s|%T@|%l\0' | LC_ALL=C sort -z | tr '\0' '\n'"#

        // MARK: What is shown

        @Test func errorsInTheForegroundAreErrors() throws {
            try stage.directory.write("data/x", "x")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.mounted { mount in
                let again = try stage.dfs("mount", "--foreground", mount)
                let lines = again.errorText.split(separator: "\n")
                #expect(again.code != 0 && lines.first?.hasPrefix("error: ") == true, "\(lines)")
                #expect(lines.last?.hasPrefix("hint: ") == true, "\(lines)")
                #expect(try stage.shell("mkdir \(mount)/datasets/x/at/2027 2>&1 || true").contains("Read-only"))
            }
        }

        @Test(.enabled(if: Files.isDirectory("/usr/share/zoneinfo"))) func aRealTreeIsShownAsItIs() throws {
            let source = "/usr/share/zoneinfo"
            try stage.done("commit", "zones", source)
            try stage.mounted { mount in
                let view = mount + "/datasets/zones/v1"
                #expect(try stage.shell("diff -r --no-dereference \(source) \(view) && echo same") == "same")
                // Sizes of directories are each file system's own business.
                let find =
                    #"find . -mindepth 1 \( -type d -printf '%P|%m|%T@\n' -o -printf '%P|%y|%m|%s|%T@|%l\n' \) | LC_ALL=C sort"#
                #expect(try stage.shell(find, in: source) == stage.shell(find, in: view))
                let file = view + "/Europe/Berlin"
                let sum = try stage.shell("sha256sum < \(file) | cut -d' ' -f1")
                let attribute = try #require(try ExtendedAttributes.get("user.dfs.sha256", of: file))
                #expect(String(decoding: attribute, as: UTF8.self) == sum)
            }
            try stage.expectNothingLeft()
        }

        @Test func oddNamesAreBytes() throws {
            let names: [[UInt8]] = [
                Array("a\nb".utf8), [0x66, 0xff, 0xfe], [UInt8](repeating: 0x6e, count: 255), Array("-rf".utf8),
                Array("e\u{301}".utf8), Array("\u{e9}".utf8), Array(" ".utf8), Array("\\".utf8), Array("'\"$(x)".utf8),
            ]
            let source = stage.directory.sub("odd")
            try Files.makeDirectories(source)
            for (i, name) in names.enumerated() {
                try TestFiles.write(name: name, in: source, Array("content \(i)".utf8))
            }
            try stage.done("commit", "odd", source)
            try stage.mounted { mount in
                let view = mount + "/datasets/odd/v1"
                let shown = try DirectoryListing.names(of: view)
                #expect(Set(shown) == Set(names) && shown.count == names.count)
                #expect(try stage.shell("diff -r --no-dereference \(source) \(view) && echo same") == "same")
                let reading = #"find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum --"#
                #expect(try stage.shell(reading, in: source) == stage.shell(reading, in: view))
            }
        }

        @Test func versionsStayAndNamesMove() throws {
            let source = stage.directory.sub("data")
            try stage.directory.write("data/x", "one")
            try stage.directory.write("data/deep/y", "same")
            try stage.done("commit", "x", source, "--tag", "first")
            let between = try stage.shell("sleep 1.1; date -u +%Y-%m-%dT%H%M%SZ; sleep 1.1")
            try stage.mounted { mount in
                let folder = mount + "/datasets/x"
                func target(_ name: String) -> String? { Files.linkTarget(folder + "/" + name) }
                let before = try stage.fingerprint(folder + "/v1")
                #expect(target("latest") == "v1")

                try stage.directory.write("data/x", "two, longer")
                try stage.directory.write("data/new", "new")
                try stage.done("commit", "x", source)
                // Committed while mounted: there at once.
                Stage.eventually("v2 in the mount") { target("latest") == "v2" }
                #expect(try stage.text(folder + "/latest/x") == "two, longer")
                #expect(try stage.fingerprint(folder + "/v1") == before)
                #expect(try stage.text(folder + "/v1/x") == "one")

                #expect(target("tags/first") == "../v1")
                #expect(target("at/\(between)") == "../v1")
                #expect(try stage.text(folder + "/tags/first/x") == "one")
                let digest = try #require(try ExtendedAttributes.get("user.dfs.digest", of: folder + "/v1"))
                let digits = String(decoding: digest, as: UTF8.self).split(separator: ":").last ?? ""
                #expect(target("@\(digits.prefix(12))") == "v1")
                #expect(
                    try ExtendedAttributes.get("user.dfs.version", of: folder + "/v2/x").map {
                        String(decoding: $0, as: UTF8.self)
                    }?.hasSuffix("2") == true)
                #expect(Files.resolved(folder + "/latest/deep/y") == folder + "/v2/deep/y")
            }
        }

        @Test func nothingCanBeWritten() throws {
            try stage.directory.write("data/x", "one")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.mounted { mount in
                let file = mount + "/datasets/x/v1/x"
                func expectReadOnly(_ what: String, _ result: Int32) {
                    let code = errno
                    #expect(result == -1 && code == EROFS, "\(what): \(String(cString: strerror(code)))")
                }
                expectReadOnly("open", open(file, O_WRONLY))
                expectReadOnly("truncate", truncate(file, 0))
                expectReadOnly("create", open(mount + "/datasets/x/v1/new", O_WRONLY | O_CREAT, 0o644))
                expectReadOnly("mkdir", mkdir(mount + "/datasets/y", 0o755))
                expectReadOnly("unlink", unlink(file))
                expectReadOnly("rename", rename(file, mount + "/datasets/x/v1/z"))
                expectReadOnly("chmod", chmod(file, 0o600))
                expectReadOnly("symlink", symlink("a", mount + "/datasets/x/v1/link"))
                expectReadOnly("setxattr", ExtendedAttributes.set("user.mine", "1", of: file))
                let content = try stage.text(file)
                #expect(content == "one")
            }
        }

        @Test func aSecondReadingAsksNothing() throws {
            let source = stage.directory.sub("many")
            try Files.makeDirectories(source)
            try stage.shell("i=0; while [ $i -lt 2000 ]; do echo \"file $i\" > f$i; i=$((i+1)); done", in: source)
            try stage.done("commit", "many", source)
            try stage.mounted { mount in
                let view = mount + "/datasets/many/v1"
                func requests() throws -> Int64 {
                    let stats = try JSONValue.parse(try #require(try Files.read(mount + "/.dfs/stats")))
                    return try #require(stats["requests"]?.integer)
                }
                func pass() throws {
                    for i in 0..<2000 { #expect(try stage.text("\(view)/f\(i)") == "file \(i)\n") }
                }
                try pass()
                // Longer than the attributes of anything that changes may be kept.
                usleep(1_500_000)
                #expect(try requests() >= 2000)
                let asked = try requestsOfPasses(counter: requests, pass: pass)
                #expect(asked.last == 0 && asked.allSatisfy { $0 < 400 }, "\(asked)")
            }
        }

        // MARK: Mounting and its end

        @Test func refusalsSayWhatHelps() throws {
            try stage.directory.write("data/x", "one")
            try stage.done("commit", "x", stage.directory.sub("data"))
            let absent = try stage.dfs("mount", stage.directory.sub("absent"))
            #expect(absent.code == 2)
            #expect(
                absent.errorText.hasSuffix("hint: mkdir -p \(stage.directory.sub("absent"))\n"), "\(absent.errorText)")
            let full = try stage.dfs("mount", stage.directory.sub("data"))
            #expect(full.code == 2 && full.errorText.contains("cause: it is not empty"), "\(full.errorText)")
            let none = try stage.dfs("umount", stage.directory.sub("data"))
            #expect(none.code == 11 && none.errorText.contains("nothing is mounted"), "\(none.errorText)")
            try stage.mounted { mount in
                let second = try stage.dfs("mount", mount)
                #expect(second.code == 2 && second.errorText.contains("is a mount already"), "\(second.errorText)")
                #expect(second.errorText.hasSuffix("hint: dfs umount \(mount)\n"))
                #expect(try stage.text(mount + "/datasets/x/v1/x") == "one")
            }
            let nowhere = try stage.dfs("--store", "/nowhere/at/all", "mount", stage.directory.sub("mnt"))
            #expect(nowhere.code == 10 && nowhere.errorText.contains("hint: dfs init"), "\(nowhere.errorText)")
            try stage.expectNothingLeft()
        }

        @Test func aDeadServerIsReplaced() throws {
            try stage.directory.write("data/x", "one")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.mounted { mount in
                let row = try stage.json("mounts")
                #expect(row["state"]?.string == "serving" && row["mountpoint"]?.string == mount)
                let server = try #require(row["pid"]?.integer.map { pid_t($0) })
                // The supervisor first, which would start another.
                try #require(kill(try supervisor(), SIGKILL) == 0 && kill(server, SIGKILL) == 0)
                Stage.eventually("the end of the server") {
                    access(mount + "/datasets", F_OK) != 0 && errno == ENOTCONN
                }
                #expect(try stage.json("mounts")["state"]?.string == "dead")
                try stage.done("mount", mount)
                #expect(try stage.text(mount + "/datasets/x/v1/x") == "one")
                #expect(try stage.json("mounts")["pid"]?.integer.map { pid_t($0) } != server)
            }
            #expect(try stage.done("mounts", "--json").isEmpty)
            try stage.expectNothingLeft()
        }

        private func server() throws -> pid_t {
            try #require(try stage.json("mounts")["pid"]?.integer.map { pid_t($0) })
        }

        private func supervisor() throws -> pid_t {
            try #require(try stage.json("mounts")["supervisor"]?.integer.map { pid_t($0) })
        }

        /// The registry may still have the server of an earlier mount at the same place.
        @Test func aLiveMountIsNotTakenForDead() throws {
            try stage.mounted { mount in
                try stage.shell(#"sed -i 's/"start":[0-9]*/"start":1/' run/dfs/mounts/*.json"#)
                let second = try stage.dfs("mount", mount)
                #expect(second.code == 2 && second.errorText.contains("is a mount already"), "\(second.errorText)")
                #expect(Files.isDirectory(mount + "/datasets"))
            }
        }

        /// The default mountpoint is the same one, whether its server lives or not.
        @Test func theDefaultMountpointIsWhereOursStands() throws {
            let talk = Talk(descriptor: 2, isTerminal: false, style: Style(isColored: false))
            let context = CommandContext(
                output: Output(
                    streams: .ofProcess, format: .text, quiet: true, color: .never, environment: environment),
                progress: Progress(mode: .none, talk: talk), environment: environment,
                streams: .ofProcess, storeOption: nil, jobs: 1, clock: { Clock.now() }, hooks: CleanupHooks())
            try stage.mounted { mount in
                #expect(try context.defaultMountpoint(shared: mount) == mount)
                let server = try server()
                try #require(kill(try supervisor(), SIGKILL) == 0 && kill(server, SIGKILL) == 0)
                Stage.eventually("the end of the server") {
                    access(mount + "/datasets", F_OK) != 0 && errno == ENOTCONN
                }
                #expect(try context.defaultMountpoint(shared: mount) == mount)
            }
            #expect(try context.defaultMountpoint(shared: stage.directory.sub("absent/x")) == stage.home + "/deepops")
        }

        private var environment: ProcessEnvironment {
            ProcessEnvironment(variables: stage.variables, workingDirectory: stage.project, home: stage.home)
        }

        /// Nobody replaces it where both are stopped, or where there is no supervisor.
        @Test func aServerThatIsStoppedDoesNotStopOthers() throws {
            try stage.mounted { mount in
                let processes = [try supervisor(), try server()]
                for process in processes { kill(process, SIGSTOP) }
                let row = try stage.json("mounts")
                for process in processes.reversed() { kill(process, SIGCONT) }
                #expect(row["state"]?.string == "hanging")
                Stage.eventually("an answer") { try stage.json("mounts")["state"]?.string == "serving" }
            }
        }

        @Test func aServerHoldsNothingOfItsCallers() throws {
            let mount = stage.directory.sub("mnt")
            try stage.shell(
                """
                mkdir mnt; exec 9> lock; flock 9; \(SpawnedProgram.products)/dfs mount \(mount); exec 9>&-
                flock -n lock true
                """)
            #expect(try stage.text("/proc/\(try server())/comm") == "dfs\n")
            try stage.done("umount", mount)
            try stage.expectNothingLeft()
        }

        /// Everything in the mount is of the server's group.
        @Test(.enabled(if: geteuid() == 0)) func othersSeeNoMoreThanInTheStore() throws {
            try #require(chown(stage.store, 0, 65533) == 0 && chmod(stage.store, 0o2750) == 0)
            let mount = stage.directory.sub("mnt")
            try Files.makeDirectories(mount)
            try stage.done("mount", "--allow-other", mount)
            #expect(try FileStatus.of(path: mount)?.mode == 0o500)
            try stage.done("umount", mount)
            try #require(chown(stage.store, 0, getegid()) == 0 && chmod(stage.store, 0o750) == 0)
            try stage.done("mount", "--allow-other", mount)
            #expect(try FileStatus.of(path: mount)?.mode == 0o550)
            try stage.done("umount", mount)
        }

        @Test func aMountInUseStays() throws {
            try stage.directory.write("data/x", "one")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.mounted { mount in
                let held = try OwnedDescriptor.open(mount + "/datasets/x/v1/x", O_RDONLY)
                let busy = try stage.dfs("umount", mount)
                #expect(busy.code == 2 && busy.errorText.contains("is in use"), "\(busy.errorText)")
                #expect(busy.errorText.hasSuffix("hint: dfs umount --lazy \(mount)\n"), "\(busy.errorText)")
                #expect(String(decoding: try Files.read(held, what: "x"), as: UTF8.self) == "one")
            }
        }
    }
}
