import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

extension RealMounts {
    struct RefusalTests {
        /// Each call that would change something.
        private func expectReadOnly(_ mount: MountFixture) {
            let root = mount.path("datasets/faces/v1"), file = root + "/f"
            func refused(_ call: String, _ result: Int32) {
                let code = errno
                #expect(result == -1 && code == EROFS, "\(call): \(result) \(String(cString: strerror(code)))")
            }
            refused("creat", creat(root + "/new", 0o644))
            refused("mkdir", mkdir(root + "/new", 0o755))
            refused("mkfifo", mkfifo(root + "/new", 0o644))
            refused("symlink", symlink("x", root + "/new"))
            refused("link", link(file, root + "/new"))
            refused("unlink", unlink(file))
            refused("rmdir", rmdir(root + "/dir"))
            refused("rename", rename(file, root + "/new"))
            refused("chmod", chmod(file, 0o777))
            refused("chown", chown(file, 1, 1))
            refused("truncate", truncate(file, 0))
            refused("utimes", utimes(file, nil))
            refused("setxattr", ExtendedAttributes.set("user.x", "y", of: file))
            refused("removexattr", ExtendedAttributes.remove("user.dfs.sha256", of: file))
            refused("access", access(file, W_OK))
            for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC] {
                let fd = try? OwnedDescriptor.open(file, flags)
                #expect(fd == nil)
            }
        }

        @Test func writesAreRefused() throws {
            var files = ReferenceFileSystem()
            files.add("f", .file([1, 2, 3]), mode: 0o666)
            files.add("dir/g", .file([4]), mode: 0o666)
            let mount = try MountFixture { $0.commit(files, to: "faces") }
            defer { mount.close() }
            expectReadOnly(mount)
            // By the daemon too, should somebody remount it.
            if geteuid() == 0 {
                let remount = try shell("mount -i -o remount,rw \(mount.mountpoint)")
                try #require(remount.code == 0, "\(remount.output)")
                let root = mount.path("datasets/faces/v1"), file = root + "/f"
                for (call, result) in [
                    ("mkdir", mkdir(root + "/new", 0o755)), ("unlink", unlink(file)), ("chmod", chmod(file, 0o777)),
                    ("truncate", truncate(file, 0)), ("rename", rename(file, root + "/new")),
                    ("symlink", symlink("x", root + "/new")),
                    ("setxattr", ExtendedAttributes.set("user.x", "y", of: file)),
                ] {
                    #expect(result == -1, "\(call)")
                }
                #expect(creat(root + "/new", 0o644) == -1 && errno == EROFS)
                if let fd = try? OwnedDescriptor.open(file, O_WRONLY) {
                    // Opening asks nobody, so the write itself, or at the latest its end, must fail.
                    let written = Glibc.write(fd.raw, "x", 1), synced = fsync(fd.raw)
                    #expect(written == -1 || synced == -1)
                }
                #expect(try mount.read("datasets/faces/v1/f") == [1, 2, 3])
            }
        }

        @Test func oddRequests() throws {
            var files = ReferenceFileSystem()
            files.add("f", .file([1, 2, 3]))
            let mount = try MountFixture { $0.commit(files, to: "faces") }
            defer { mount.close() }
            let file = mount.path("datasets/faces/v1/f")
            let fd = try OwnedDescriptor.open(file, O_RDONLY)
            #expect(lseek(fd.raw, 0, SEEK_END) == 3)
            #expect(mmap(nil, 4096, PROT_WRITE, MAP_SHARED, fd.raw, 0) == MAP_FAILED)
            #expect(flock(fd.raw, LOCK_SH) == 0)
            let long = mount.path("datasets/faces/v1/") + String(repeating: "x", count: 256)
            #expect(access(long, F_OK) == -1 && errno == ENAMETOOLONG)
            #expect(access(mount.path("datasets/faces/v1/f/below"), F_OK) == -1 && errno == ENOTDIR)
            #expect(Glibc.read(try OwnedDescriptor.open(mount.path("datasets"), O_RDONLY).raw, nil, 0) <= 0)
            #expect(try mount.text(".dfs/health") == "ok\n")
        }
    }
}
