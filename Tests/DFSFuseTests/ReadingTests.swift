import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

extension RealMounts {
    struct ReadingTests {
        @Test func namesAndLinks() throws {
            var files = ReferenceFileSystem()
            files.add("dir/file", .file(Array("hello".utf8)), mode: 0o750)
            files.add("link", .symlink(Array("dir/file".utf8)))
            let mount = try MountFixture { history in
                history.commit(files, to: "team/faces")
                history.tag("best", "team/faces", 1)
            }
            defer { mount.close() }
            #expect(try mount.names("") == ["code", "datasets", "runs"].map { Array($0.utf8) })
            #expect(try mount.text("datasets/team/faces/v1/link") == "hello")
            #expect(try mount.text("datasets/team/faces/tags/best/dir/file") == "hello")
            #expect(try mount.text("datasets/team/faces/at/1/dir/file") == "hello")
            #expect(Files.linkTarget(mount.path("datasets/team/faces/latest")) == "v1")
            #expect(Files.resolved(mount.path("datasets/team/faces/latest")) == mount.path("datasets/team/faces/v1"))
            #expect(try mount.text(".dfs/health") == "ok\n")
            var status = stat()
            try #require(stat(mount.path("datasets/team/faces/v1/dir/file"), &status) == 0)
            #expect(status.st_mode == S_IFREG | 0o750 && status.st_nlink == 1 && status.st_size == 5)
            #expect(status.st_uid == geteuid() && status.st_blocks == 8 && status.st_blksize >= 128 << 10)
            #expect(status.st_mtim.tv_sec == 1_700_000_000 && status.st_mtim.tv_nsec == 7)
            #expect(!Files.exists(mount.path("datasets/team/faces/v2")))
            #expect(!Files.exists(mount.path("datasets/team/faces/v1/absent")))
            var capacity = statvfs()
            try #require(statvfs(mount.mountpoint, &capacity) == 0)
            #expect(capacity.f_namemax == 255 && capacity.f_blocks > 0 && capacity.f_flag & UInt(ST_RDONLY) != 0)
        }

        /// What a second commit, a tag and a run change is seen, although the kernel keeps directories for an hour.
        @Test func growingHistoryIsSeen() throws {
            var files = ReferenceFileSystem()
            files.add("f", .file([1]))
            let mount = try MountFixture { $0.commit(files, to: "faces") }
            defer { mount.close() }
            let faces = "datasets/faces"
            #expect(try mount.names(faces).count == 4)
            #expect(try mount.names("datasets").count == 1)
            #expect(!Files.exists(mount.path("datasets/other")))
            files.add("g", .file([2]))
            mount.history.commit(files, to: "faces")
            mount.history.commit(files, to: "other")
            // Lookups know at once, listings and `latest` within about a second.
            #expect(try mount.read("datasets/other/v1/g") == [2])
            #expect(try mount.read(faces + "/v2/g") == [2])
            var seen = false
            for _ in 0..<100 where !seen {
                seen =
                    try mount.names(faces).count == 5 && mount.names("datasets").count == 2
                    && Files.linkTarget(mount.path(faces + "/latest")) == "v2"
                usleep(100_000)
            }
            #expect(seen)
        }

        @Test func readsOfAllSizes() throws {
            var generator = SeededGenerator(seed: 3)
            var files = ReferenceFileSystem()
            let sizes = [0, 1, 511, 4095, 4096, 4097, 131_072, 131_073, 1 << 20, (1 << 20) + 1, 5_000_000]
            for size in sizes { files.add("f\(size)", .file(generator.bytes(size))) }
            let mount = try MountFixture { $0.commit(files, to: "sizes") }
            defer { mount.close() }
            for size in sizes {
                guard case .file(let expected) = files.items[[Array("f\(size)".utf8)]]?.body else { continue }
                let name = "datasets/sizes/v1/f\(size)"
                #expect(try mount.read(name) == expected)
                let fd = try OwnedDescriptor.open(mount.path(name), O_RDONLY)
                for _ in 0..<20 {
                    let offset = Int.random(in: 0...size + 10, using: &generator)
                    let count = Int.random(in: 0...300_000, using: &generator)
                    var buffer = [UInt8](repeating: 0, count: count)
                    let done = pread(fd.raw, &buffer, count, offset)
                    #expect(done >= 0 && Array(buffer[..<done]) == Array(expected.dropFirst(offset).prefix(count)))
                }
                var byte: UInt8 = 0
                #expect(pread(fd.raw, &byte, 1, Int.max - 1) <= 0)
                if size > 0 { checkMapping(fd, expected) }
            }
            let direct = try OwnedDescriptor.open(mount.path("datasets/sizes/v1/f5000000"), O_RDONLY | 0o40000)
            var buffer = [UInt8](repeating: 0, count: 8192)
            #expect(pread(direct.raw, &buffer, 8192, 4096) == 8192)
        }

        private func checkMapping(_ fd: OwnedDescriptor, _ expected: [UInt8]) {
            guard let memory = mmap(nil, expected.count, PROT_READ, MAP_PRIVATE, fd.raw, 0), memory != MAP_FAILED else {
                Issue.record("mmap failed")
                return
            }
            #expect(UnsafeRawBufferPointer(start: memory, count: expected.count).elementsEqual(expected))
            munmap(memory, expected.count)
        }

        @Test(arguments: [11, 12] as [UInt64])
        func aTreeEqualsItsSource(seed: UInt64) throws {
            print("seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            let files = ReferenceFileSystem.random(600, &generator)
            let mount = try MountFixture { $0.commit(files, to: "tree") }
            defer { mount.close() }
            let source = mount.folder + "/source"
            try write(files, to: source)
            let result = try shell("diff -r --no-dereference \(source) \(mount.path("datasets/tree/v1"))")
            #expect(result.code == 0, "\(result.output)")
            let modes = try shell(
                "cd \(source) && find . -type f -printf '%m %s %p\\0' | LC_ALL=C sort -z | md5sum;"
                    + "cd \(mount.path("datasets/tree/v1")) && find . -type f -printf '%m %s %p\\0' | LC_ALL=C sort -z | md5sum"
            )
            let lines = modes.output.split(separator: "\n")
            #expect(lines.count == 2 && lines[0] == lines[1])
            // A bad case: the comparison does see a difference.
            let fd = try OwnedDescriptor.open(source + "/extra", O_WRONLY | O_CREAT)
            _ = fd
            #expect(try shell("diff -r --no-dereference \(source) \(mount.path("datasets/tree/v1"))").code == 1)
        }

        @Test func aLargeDirectory() throws {
            var files = ReferenceFileSystem()
            for i in 0..<10_000 { files.add([Array("f\(i)".utf8)], .init(.file(Array("\(i)".utf8)))) }
            for name in ReferenceFileSystem.oddNames { files.add([name], .init(.file(name))) }
            let mount = try MountFixture { $0.commit(files, to: "big") }
            defer { mount.close() }
            #expect(try mount.names("datasets/big/v1") == files.children(of: []))
            // The second listing is the kernel's own.
            let before = try mount.requests()
            #expect(try mount.names("datasets/big/v1") == files.children(of: []))
            #expect(try mount.requests() == before)
            let directory = try OwnedDescriptor.open(mount.path("datasets/big/v1"), O_RDONLY | O_DIRECTORY)
            for name in ReferenceFileSystem.oddNames {
                let fd = try OwnedDescriptor.open(bytes: name, O_RDONLY, at: directory.raw)
                #expect(try Files.read(fd, what: "a test file") == name)
            }
        }

        @Test func extendedAttributes() throws {
            var files = ReferenceFileSystem()
            files.add("dir/f", .file([1, 2, 3]))
            let mount = try MountFixture { $0.commit(files, to: "faces") }
            defer { mount.close() }
            func value(_ path: String, _ name: String) throws -> String? {
                try ExtendedAttributes.get(name, of: mount.path(path)).map { String(decoding: $0, as: UTF8.self) }
            }
            let file = "datasets/faces/v1/dir/f", root = "datasets/faces/v1"
            #expect(try value(file, "user.dfs.sha256") == FakeHistory.digest([1, 2, 3]).hex)
            #expect(try value(file, "user.dfs.version") == "v1")
            #expect(try value(file, "user.dfs.dataset") == "faces")
            let digest = try mount.history.version(1, of: "faces").root.content.digest
            #expect(try value(root, "user.dfs.digest") == digest.text)
            #expect(try value(root, "user.dfs.sha256") == nil)
            #expect(try value(file, "user.other") == nil)
            #expect(try value("datasets", "user.dfs.version") == nil)
            let names = ["user.dfs.sha256", "user.dfs.dataset", "user.dfs.version"]
            #expect(try ExtendedAttributes.names(of: mount.path(file)) == names.map { Array($0.utf8) })
            #expect(try ExtendedAttributes.names(of: mount.path("datasets")) == [])
            do throws(DFSError) {
                _ = try ExtendedAttributes.get("user.dfs.sha256", of: mount.path(file), room: 10)
                Issue.record("64 bytes fit into 10")
            } catch { #expect(error.errno == ERANGE) }
        }

        @Test func damageIsAnErrorAndPasses() throws {
            var files = ReferenceFileSystem()
            files.add("dir/f", .file([1]))
            let mount = try MountFixture { $0.commit(files, to: "faces") }
            defer { mount.close() }
            let address = try #require(try mount.history.version(1, of: "faces").root.address)
            mount.history.damage(address)
            #expect(throws: DFSError.self) { try mount.names("datasets/faces/v1") }
            var status = stat()
            #expect(stat(mount.path("datasets/faces/v1/dir"), &status) == -1 && errno == EIO)
            #expect(try mount.stats()["errors"]?.integer ?? 0 > 0)
            mount.history.damage(address, false)
            #expect(try mount.read("datasets/faces/v1/dir/f") == [1])
        }
    }
}
