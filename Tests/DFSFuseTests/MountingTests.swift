import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

@testable import DFSFuse

extension RealMounts {
    struct MountingTests {
        private func problem(_ mountpoint: String) -> DFSError? {
            let history = FakeHistory()
            let tree = VirtualTree(history: history, content: history, options: .init(version: "test"))
            do throws(DFSError) {
                _ = try FuseServer(tree: tree, options: .init(mountpoint: mountpoint, fsname: "dfs:test"))
                return nil
            } catch { return error }
        }

        @Test func placesThatCannotBeMountedOn() throws {
            let mount = try MountFixture()
            defer { mount.close() }
            #expect(problem(mount.folder + "/absent")?.errno == ENOENT)
            #expect(problem(mount.folder + "/absent")?.hint == "mkdir -p \(mount.folder)/absent")
            #expect(problem(mount.folder)?.errno == ENOTEMPTY)
            #expect(problem("/etc/passwd")?.errno == ENOTDIR)
            let busy = try #require(problem(mount.mountpoint))
            #expect(busy.errno == EBUSY && busy.hint == "dfs umount \(mount.mountpoint)")
            // Through a symlink, and with a path that is not tidy.
            try #require(symlink("mnt", mount.folder + "/link") == 0)
            #expect(problem(mount.folder + "/link")?.errno == EBUSY)
            #expect(problem(mount.folder + "/./mnt/")?.errno == EBUSY)
        }

        @Test func theMountTableShowsIt() throws {
            let name = "dfs:/a store, with \\ and\ttabs"
            let mount = try MountFixture(fsname: name)
            defer { mount.close() }
            let found = try #require(try MountTable.mount(at: mount.mountpoint))
            #expect(found.fsname == name && found.isOurs && found.connection == mount.server.connectionNumber)
            #expect(found.options.contains("ro") && found.options.contains("default_permissions"))
            #expect(!found.options.contains("allow_other"))
            let line = try shell("grep ' \(mount.mountpoint) ' /proc/self/mountinfo").output
            #expect(line.contains("ro,nosuid,nodev"))
            #expect(try MountTable.state(of: found) == .serving)
            #expect(try !MountTable.isStale(found))
            #expect(try MountTable.isStale(found, server: 0x3fff_fff0))
        }

        @Test func stoppingBeforeServing() throws {
            let folder = "/tmp/dfs-unserved-" + Randomness.hex(bytes: 8)
            try Files.makeDirectories(folder)
            defer { try? Files.removeTree(folder) }
            let history = FakeHistory()
            let tree = VirtualTree(history: history, content: history, options: .init(version: "test"))
            let server = try FuseServer(tree: tree, options: .init(mountpoint: folder, fsname: "dfs:test"))
            server.stop()
            try server.mount()
            #expect(try MountTable.mount(at: folder) != nil)
            server.stop()
            server.serve()
            #expect(try MountTable.mount(at: folder) == nil)
        }

        @Test func parsing() {
            let line: Substring =
                "36 35 98:7 / /mnt/a\\040b\\134c rw,noatime master:1 shared:2 - fuse.dfs dfs:/s\\011t ro,user_id=0"
            let mount = MountTable.parse(line)
            #expect(
                mount
                    == MountTable.Mount(
                        mountpoint: "/mnt/a b\\c", fsname: "dfs:/s\tt", type: "fuse.dfs", connection: 7,
                        device: "98:7", options: ["ro", "user_id=0"]))
            for broken in ["", "-", "1 2 3", "36 35 98 / /m rw - t", "36 35 x:y / /m rw - t n o"] as [Substring] {
                #expect(MountTable.parse(broken) == nil)
            }
        }

        @Test func unmountingEndsServing() throws {
            let mount = try MountFixture()
            #expect(try mount.text(".dfs/health") == "ok\n")
            let held = try OwnedDescriptor.open(mount.path("datasets"), O_RDONLY | O_DIRECTORY)
            do throws(DFSError) {
                try MountTable.unmount(mount.mountpoint)
                Issue.record("a mount in use was unmounted")
            } catch { #expect(error.errno == EBUSY && error.hint == "fuser -vm \(mount.mountpoint)") }
            try MountTable.unmount(mount.mountpoint, lazy: true)
            #expect(try MountTable.mount(at: mount.mountpoint) == nil)
            // Its last user still reads.
            #expect(try FileStatus.of(Array(".".utf8), at: held.raw) != nil)
            do throws(DFSError) {
                try MountTable.unmount(mount.mountpoint)
                Issue.record("unmounted twice")
            } catch { #expect(error.code == .noReference) }
            mount.close()
        }

        @Test func stoppingEndsAMountInUse() throws {
            let mount = try MountFixture()
            let held = try OwnedDescriptor.open(mount.path("datasets"), O_RDONLY | O_DIRECTORY)
            mount.close()
            // Nobody answers any more, and nobody waits.
            var status = stat()
            _ = fstatat(held.raw, "absent", &status, 0)
            #expect(errno == ENOTCONN || errno == ECONNABORTED)
            mount.server.stop()
        }

        /// Unmounted where it was mounted, but still seen in another mount namespace.
        @Test(.enabled(if: geteuid() == 0)) func stoppingWhileAnotherNamespaceHoldsIt() throws {
            let mount = try MountFixture()
            let hold = mount.folder + "/hold"
            _ = try OwnedDescriptor.open(hold, O_WRONLY | O_CREAT)
            let other = try #require(
                popen(
                    "unshare -m --propagation private sh -c 'echo ready; while [ -e \(hold) ]; do sleep 0.05; done'",
                    "r"))
            var buffer = [CChar](repeating: 0, count: 16)
            _ = fgets(&buffer, 16, other)
            try MountTable.unmount(mount.mountpoint)
            #expect(!mount.waitForEnd(0.5), "the other namespace does not hold it")
            mount.close()
            pclose(other)
        }

        /// Every test of this target once more as an ordinary user, who mounts through fusermount3 and for whom a device
        /// node is bound over /dev/fuse where that is root's alone.
        @Test(.enabled(if: geteuid() == 0 && getenv("DFS_TEST_ORDINARY") == nil))
        func asAnOrdinaryUser() throws {
            let program = try #require(Files.linkTarget("/proc/self/exe"))
            let user = "setpriv --reuid=65534 --regid=65534 --clear-groups"
            guard program.hasSuffix(".xctest"), try shell("\(user) test -x \(program)").code == 0 else {
                print("skipped: an ordinary user cannot run \(program)")
                return
            }
            let folder = "/tmp/dfs-device-" + Randomness.hex(bytes: 8)
            try Files.makeDirectories(folder)
            defer { try? Files.removeTree(folder) }
            let script = """
                set -e; mknod \(folder)/fuse c 10 229; chmod 666 \(folder)/fuse; mount --bind \(folder)/fuse /dev/fuse
                cd /tmp; export DFS_TEST_ORDINARY=1
                exec \(user) \(program) --testing-library swift-testing --filter DFSFuseTests
                """
            let result = try shell("unshare -m bash -c '\(script)'")
            #expect(result.code == 0, "\(result.output)")
            #expect(result.output.contains("aTreeEqualsItsSource") && !result.output.contains("skipped: /dev/fuse"))
        }

        /// A daemon that was killed leaves a mount that is told from a living one and can be cleared.
        @Test(.enabled(if: geteuid() == 0)) func aStaleMount() throws {
            let folder = "/tmp/dfs-stale-" + Randomness.hex(bytes: 8)
            try Files.makeDirectories(folder)
            defer { try? Files.removeTree(folder) }
            // What the death of a daemon leaves: a mount whose descriptor is closed.
            do {
                let descriptor = try Mounting.mount(.init(mountpoint: folder, fsname: "dfs:test"), on: folder)
                _ = descriptor
            }
            let mount = try #require(try MountTable.mount(at: folder))
            #expect(try MountTable.isStale(mount))
            let error = try #require(problem(folder))
            #expect(error.errno == EBUSY && error.hint == "dfs umount \(folder)")
            try MountTable.unmount(folder, lazy: true)
            #expect(problem(folder) == nil)
        }

        /// The way of an ordinary user, taken by whoever runs the tests.
        @Test(.enabled(if: Subprocess.find("fusermount3") != nil)) func throughTheHelper() throws {
            let folder = "/tmp/dfs-helper-" + Randomness.hex(bytes: 8)
            try Files.makeDirectories(folder)
            defer { try? Files.removeTree(folder) }
            let options = MountOptions(mountpoint: folder, fsname: "dfs:a,b\\c d")
            do {
                let descriptor = try Mounting.mountAsUser(options, on: folder)
                let mount = try #require(try MountTable.mount(at: folder))
                #expect(mount.fsname == options.fsname && mount.isOurs)
                #expect(fcntl(descriptor.raw, F_GETFD) & FD_CLOEXEC != 0)
            }
            try MountTable.unmount(folder)
            #expect(try MountTable.mount(at: folder) == nil)
            do throws(DFSError) {
                _ = try Mounting.mountAsUser(.init(mountpoint: "/proc/absent", fsname: "dfs:x"), on: "/proc/absent")
                Issue.record("mounted on nothing")
            } catch {
                #expect(error.cause?.contains("fusermount3") == true, "\(error)")
            }
        }
    }
}
