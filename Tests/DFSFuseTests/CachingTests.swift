import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Dispatch
import Glibc
import Synchronization
import Testing

extension RealMounts {
    struct CachingTests {
        private static func many(_ count: Int, size: Int) -> ReferenceFileSystem {
            var files = ReferenceFileSystem()
            var generator = SeededGenerator(seed: 8)
            for i in 0..<count {
                files.add("class\(i % 50)/image\(i)", .file(generator.bytes(size)))
            }
            return files
        }

        private func readAll(_ names: [String], _ mount: MountFixture) throws {
            for name in names {
                let fd = try OwnedDescriptor.open(mount.path("datasets/many/v1/" + name), O_RDONLY)
                #expect(try Files.read(fd, what: name).count == 10_240)
            }
        }

        /// After a walk and one read, open-read-close asks the daemon nothing.
        @Test func theSecondPassIsTheKernels() throws {
            let count = 3000
            let files = Self.many(count, size: 10_240)
            let mount = try MountFixture { $0.commit(files, to: "many") }
            defer { mount.close() }
            #expect(try shell("find \(mount.path("datasets/many/v1")) -type f | wc -l").output == "\(count)\n")
            let walked = try mount.stats()
            // Names, ids and attributes came with the listing.
            #expect(try #require(walked["operations"]?["LOOKUP"]?.integer) < 20)
            #expect(try #require(walked["operations"]?["GETATTR"]?.integer) < 20)
            let names = (0..<count).map { "class\($0 % 50)/image\($0)" }
            try readAll(names, mount)
            let first = try mount.stats()
            // Some came before they were asked for.
            #expect(try #require(first["operations"]?["READ"]?.integer) <= Int64(count))
            let given = try #require(first["bytes_stored"]?.integer)
            #expect(try #require(first["bytes_read"]?.integer) + given >= Int64(count * 10_240))
            #expect(first["operations"]?["OPEN"]?.integer ?? 9 <= 1)
            // Longer than the attributes of anything that changes may be kept.
            usleep(1_500_000)
            let asked = try requestsOfPasses(counter: mount.requests) { try readAll(names.shuffled(), mount) }
            #expect(asked.last == 0 && asked.allSatisfy { $0 < count / 5 }, "\(asked)")
            let after = try mount.stats()
            #expect(after["errors"]?.integer == 0)
        }

        /// When several small files of a directory were asked for, the others come without a request, and right.
        @Test func neighboursComeUnasked() throws {
            let count = 2000
            var files = ReferenceFileSystem()
            var generator = SeededGenerator(seed: 31)
            for i in 0..<count {
                files.add("image\(i)", .file(generator.bytes([0, 1, 4095, 4096, 4097, 10_000, 131_073][i % 7])))
            }
            let mount = try MountFixture { $0.commit(files, to: "many") }
            defer { mount.close() }
            let view = "datasets/many/v1"
            #expect(try shell("ls -l \(mount.path(view)) | wc -l").output == "\(count + 1)\n")
            // One after the other by name: far less than all of them.
            for i in 2..<20 { _ = try mount.read(view + "/image\(i)") }
            var stored: Int64 = 0
            for _ in 0..<1000 where stored < Int64(count / 2) {
                stored = try #require(try mount.stats()["files_stored"]?.integer)
                usleep(10_000)
            }
            #expect(stored >= Int64(count / 2))
            let before = try #require(try mount.stats()["operations"]?["READ"]?.integer)
            for i in 0..<count {
                guard case .file(let expected) = files.items[[Array("image\(i)".utf8)]]?.body else { continue }
                try #require(try mount.read(view + "/image\(i)") == expected, "image\(i)")
            }
            let asked = try #require(try mount.stats()["operations"]?["READ"]?.integer) - before
            // Only the seventh of them that is too large, in pieces, and what was dropped.
            #expect(asked < Int64(count), "\(asked)")
        }

        /// What is kept grows with directories, not with files.
        @Test(.enabled(if: getenv("DFS_TEST_ORDINARY") == nil)) func aWalkCostsLittleMemory() throws {
            let count = 60_000
            var files = ReferenceFileSystem()
            for i in 0..<count { files.add("class\(i % 600)/image\(i)", .file([])) }
            let mount = try MountFixture { $0.commit(files, to: "many") }
            defer { mount.close() }
            _ = try mount.names("datasets/many/v1/class0")
            // What building the tree has left in the allocator would hide what the walk takes.
            let trim = try #require(dlsym(nil, "malloc_trim"))
            _ = unsafeBitCast(trim, to: (@convention(c) (Int) -> Int32).self)(0)
            let before = try #require(try mount.stats()["resident_bytes"]?.integer)
            #expect(try shell("find \(mount.path("datasets/many/v1")) -type f -size 0 | wc -l").output == "\(count)\n")
            let after = try mount.stats()
            let growth = try #require(after["resident_bytes"]?.integer) - before
            print("resident memory grew by \(growth >> 10) KiB")
            #expect(growth < 40 << 20)
            #expect(after["directories"]?.integer == 605)
        }

        /// The read-ahead window is as large as an answer may be, where root can set it.
        @Test(.enabled(if: geteuid() == 0)) func largeReadsTakeFewRequests() throws {
            var generator = SeededGenerator(seed: 1)
            var files = ReferenceFileSystem()
            files.add("large", .file(generator.bytes(16 << 20)))
            let mount = try MountFixture { $0.commit(files, to: "large") }
            defer { mount.close() }
            #expect(try mount.read("datasets/large/v1/large").count == 16 << 20)
            #expect(try #require(try mount.stats()["operations"]?["READ"]?.integer) < 40)
        }

        @Test func eightReadersAtOnce() throws {
            let files = Self.many(800, size: 10_240)
            let mount = try MountFixture { $0.commit(files, to: "many") }
            defer { mount.close() }
            let failures = Counter()
            DispatchQueue.concurrentPerform(iterations: 8) { reader in
                var generator = SeededGenerator(seed: UInt64(reader))
                for _ in 0..<400 {
                    let i = Int.random(in: 0..<800, using: &generator)
                    let name = "class\(i % 50)/image\(i)"
                    guard
                        case .file(let expected) = files.items[name.split(separator: "/").map { Array($0.utf8) }]?.body,
                        let bytes = try? mount.read("datasets/many/v1/" + name), bytes == expected,
                        (try? mount.names("datasets/many/v1/class\(i % 50)").count) == 16
                    else {
                        failures.increment()
                        continue
                    }
                }
            }
            #expect(failures.current == 0)
        }

        /// A log that grows shows what it has, never zeros, to readers, followers and mappings.
        @Test func aGrowingLog() throws {
            let mount = try MountFixture()
            defer { mount.close() }
            let logs = mount.folder + "/logs"
            try Files.makeDirectories(logs)
            let run = RunID(UUIDv7.make())
            mount.history.start(run, live: LivePaths(logs: logs), documents: [.status: Array("running\n".utf8)])
            let log = try OwnedDescriptor.open(logs + "/stdout", O_WRONLY | O_CREAT | O_APPEND)
            let name = "runs/\(run)/logs/stdout"
            #expect(try mount.text("runs/\(run)/status") == "running\n")
            #expect(try mount.read(name) == [])
            let follower = try OwnedDescriptor.open(mount.path(name), O_RDONLY)
            var expected = [UInt8](), followed = [UInt8]()
            var generator = SeededGenerator(seed: 5)
            for i in 0..<300 {
                let line = [UInt8](repeating: UInt8(1 + i % 250), count: Int.random(in: 1...3000, using: &generator))
                try Files.write(line, to: log.raw, what: "the log")
                expected += line
                var buffer = [UInt8](repeating: 0, count: 10_000)
                while true {
                    let count = Glibc.read(follower.raw, &buffer, buffer.count)
                    if count <= 0 { break }
                    followed += buffer[..<count]
                }
                try #require(followed == expected, "after \(i) lines")
                if i % 10 == 0 { try #require(try mount.read(name) == expected, "after \(i) lines") }
                if i % 50 == 0 {
                    let memory = try #require(mmap(nil, expected.count, PROT_READ, MAP_SHARED, follower.raw, 0))
                    #expect(UnsafeRawBufferPointer(start: memory, count: expected.count).elementsEqual(expected))
                    munmap(memory, expected.count)
                }
            }
            // Overwritten within one tick of the clock, with the same size.
            for i in 0..<20 {
                let text = [UInt8](repeating: UInt8(1 + i), count: 10)
                try #require(truncate(logs + "/stdout", 0) == 0)
                try Files.write(text, to: log.raw, what: "the log")
                #expect(try mount.read(name) == text)
            }
            // New names, and names that went.
            #expect(try mount.names("runs/\(run)/logs").count == 1)
            for i in 0..<20 {
                _ = try OwnedDescriptor.open(logs + "/f\(i)", O_WRONLY | O_CREAT)
                #expect(try mount.names("runs/\(run)/logs").count == i + 2)
            }
            try Files.remove(logs + "/f3")
            #expect(try mount.names("runs/\(run)/logs").count == 20)
            #expect(!Files.exists(mount.path("runs/\(run)/logs/f3")))
        }

        /// A run is sealed while a program sits in its directories.
        @Test func sealingKeepsDirectories() throws {
            let mount = try MountFixture()
            defer { mount.close() }
            let outputs = mount.folder + "/outputs"
            try Files.makeDirectories(outputs + "/sub")
            let run = RunID(UUIDv7.make())
            mount.history.start(run, live: LivePaths(outputs: outputs), documents: [.status: Array("running\n".utf8)])
            let base = "runs/\(run)"
            let inside = try OwnedDescriptor.open(mount.path(base + "/outputs/sub"), O_RDONLY | O_DIRECTORY)
            let before = try FileStatus.of(inside).inode
            #expect(try mount.text(base + "/status") == "running\n")
            var files = ReferenceFileSystem()
            files.add("sub/model", .file(Array("weights".utf8)))
            mount.history.finish(run, outputs: files, documents: [.status: Array("succeeded\n".utf8)])
            try Files.removeTree(outputs)
            #expect(try mount.text(base + "/outputs/sub/model") == "weights")
            let model = try OwnedDescriptor.open("model", O_RDONLY, at: inside.raw)
            #expect(try Files.read(model, what: "model") == Array("weights".utf8))
            #expect(try #require(try FileStatus.of(path: mount.path(base + "/outputs/sub"))).inode == before)
            #expect(try mount.names(base + "/outputs") == [Array("sub".utf8)])
            var seen = false
            for _ in 0..<50 where !seen {
                seen = try mount.text(base + "/status") == "succeeded\n"
                usleep(100_000)
            }
            #expect(seen)
        }
    }
}
