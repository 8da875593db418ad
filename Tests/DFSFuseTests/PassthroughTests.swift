import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import DFSFuse

/// Whether the kernel reads backing files for this user.
private let canPassThrough: Bool = {
    var name = utsname()
    guard geteuid() == 0, canMount, uname(&name) == 0 else { return false }
    let release = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 9)
}()

/// Local files for the contents of a fake history; those shorter than `from` have none.
private final class Copies: Sendable {
    let directory: TemporaryDirectory
    let from: Int

    init(from: Int = 0) throws {
        directory = try TemporaryDirectory()
        self.from = from
    }

    func find(_ entry: TreeEntry, _ bytes: [UInt8]) -> BackingFile? {
        let path = directory.sub(entry.content.digest.hex)
        guard bytes.count >= from, Files.exists(path) || (try? TestFiles.write(path, bytes)) != nil,
            let file = try? OwnedDescriptor.open(path, O_RDONLY)
        else { return nil }
        return BackingFile(descriptor: file, path: path)
    }
}

extension RealMounts {
    @Suite(.enabled(if: canPassThrough, "needs root and Linux 6.9")) struct PassthroughTests {
        private static let passthrough = Serving(mode: .passthrough, why: "asked for")

        private func mount(_ files: ReferenceFileSystem, _ copies: Copies) throws -> MountFixture {
            try MountFixture({ $0.commit(files, to: "d") }, serving: Self.passthrough).backed(by: copies)
        }

        private func operations(_ mount: MountFixture, _ name: String) throws -> Int64 {
            try #require(try mount.stats()["operations"]?[name]?.integer)
        }

        /// Odd sizes, pieces, mappings with the tail behind the end: all from the backing file, no READ.
        @Test func theKernelReadsByItself() throws {
            var generator = SeededGenerator(seed: 21)
            var files = ReferenceFileSystem()
            let sizes = [0, 1, 4095, 4096, 4097, 131_073, (8 << 20) + 100, 5_000_001]
            for size in sizes { files.add("f\(size)", .file(generator.bytes(size))) }
            let mount = try mount(files, try Copies())
            defer { mount.close() }
            for size in sizes {
                guard case .file(let expected) = files.items[[Array("f\(size)".utf8)]]?.body else { continue }
                #expect(try mount.read("datasets/d/v1/f\(size)") == expected)
                let fd = try OwnedDescriptor.open(mount.path("datasets/d/v1/f\(size)"), O_RDONLY)
                for _ in 0..<20 {
                    let offset = Int.random(in: 0...size + 10, using: &generator)
                    let count = Int.random(in: 0...300_000, using: &generator)
                    var buffer = [UInt8](repeating: 0, count: count)
                    let done = pread(fd.raw, &buffer, count, offset)
                    #expect(done >= 0 && Array(buffer[..<done]) == Array(expected.dropFirst(offset).prefix(count)))
                }
                if size > 0 { try checkMapping(fd, expected) }
            }
            #expect(try operations(mount, "READ") == 0)
            #expect(try #require(try mount.stats()["passthrough_opens"]?.integer) == Int64(sizes.count * 2))
            #expect(try mount.stats()["serve"]?.string == "passthrough")
        }

        private func checkMapping(_ fd: OwnedDescriptor, _ expected: [UInt8]) throws {
            let whole = (expected.count + 4095) / 4096 * 4096
            let memory = try #require(mmap(nil, whole, PROT_READ, MAP_SHARED, fd.raw, 0))
            try #require(memory != MAP_FAILED)
            defer { munmap(memory, whole) }
            let bytes = UnsafeRawBufferPointer(start: memory, count: whole)
            #expect(bytes.prefix(expected.count).elementsEqual(expected))
            #expect(bytes.dropFirst(expected.count).allSatisfy { $0 == 0 })
        }

        @Test func eightReadersOfOneFile() throws {
            var generator = SeededGenerator(seed: 22)
            let expected = generator.bytes((4 << 20) + 77)
            var files = ReferenceFileSystem()
            files.add("f", .file(expected))
            let mount = try mount(files, try Copies())
            defer { mount.close() }
            let failures = Counter()
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                for _ in 0..<10 where (try? mount.read("datasets/d/v1/f")) != expected { failures.increment() }
            }
            #expect(failures.current == 0)
            #expect(try operations(mount, "READ") == 0)
            #expect(try operations(mount, "OPEN") >= 80)
        }

        /// A file that has no copy when it is first opened is read through the server as long as somebody has it open.
        @Test func openFilesAgree() throws {
            var generator = SeededGenerator(seed: 23)
            let expected = generator.bytes(100_000)
            var files = ReferenceFileSystem()
            files.add("f", .file(expected))
            let copies = try Copies()
            let mount = try MountFixture({ $0.commit(files, to: "d") }, serving: Self.passthrough)
            defer { mount.close() }
            let first = try OwnedDescriptor.open(mount.path("datasets/d/v1/f"), O_RDONLY)
            mount.history.back(copies.find)
            #expect(try mount.read("datasets/d/v1/f") == expected)
            #expect(try mount.stats()["passthrough_opens"]?.integer == 0)
            #expect(try Files.read(first, what: "f") == expected)
            let reads = try operations(mount, "READ")
            #expect(reads > 0)
            _ = consume first
            // The release comes when it comes.
            var passed: Int64 = 0
            for _ in 0..<500 where passed == 0 {
                #expect(try mount.read("datasets/d/v1/f") == expected)
                passed = try #require(try mount.stats()["passthrough_opens"]?.integer)
                if passed == 0 { usleep(10_000) }
            }
            #expect(passed > 0)
        }

        /// What the kernel does not take is read through the server: here a file of the mount itself.
        @Test func whatTheKernelRefusesIsReadThroughTheServer() throws {
            var files = ReferenceFileSystem()
            files.add("a", .file([1, 2, 3]))
            files.add("b", .file([4, 5]))
            let mount = try MountFixture({ $0.commit(files, to: "d") }, serving: Self.passthrough)
            defer { mount.close() }
            let inside = try OwnedDescriptor.open(mount.path("datasets/d/v1/a"), O_RDONLY)
            mount.history.back { entry, _ in
                entry.name == Array("b".utf8) ? BackingFile(descriptor: inside, path: "a") : nil
            }
            #expect(try mount.read("datasets/d/v1/b") == [4, 5])
            let stats = try mount.stats()
            #expect(stats["passthrough_opens"]?.integer == 0)
            #expect(try #require(stats["why"]?.string).contains("read through the server"))
            mount.history.back(nil)
        }
    }

    /// Opens that are answered, without a backing file.
    struct PlainTests {
        /// Where it was only this program's choice, the kernel's refusal leads to the way that costs least.
        @Test(.enabled(if: geteuid() != 0)) func anOrdinaryUserIsServedStateless() throws {
            var files = ReferenceFileSystem()
            files.add("f", .file([1, 2, 3]))
            let mount = try MountFixture(
                { $0.commit(files, to: "d") }, serving: Serving(mode: .passthrough, why: "", isAutomatic: true))
            defer { mount.close() }
            for _ in 0..<5 { #expect(try mount.read("datasets/d/v1/f") == [1, 2, 3]) }
            let stats = try mount.stats()
            #expect(stats["serve"]?.string == "stateless")
            #expect(try #require(stats["why"]?.string).hasPrefix("no passthrough: "))
            #expect(stats["operations"]?["OPEN"]?.integer ?? 9 <= 1)
        }

        @Test(arguments: [ServeMode.plain, .passthrough]) func opensAreAnswered(mode: ServeMode) throws {
            var generator = SeededGenerator(seed: 24)
            let expected = generator.bytes(300_000)
            var files = ReferenceFileSystem()
            files.add("f", .file(expected))
            let mount = try MountFixture(
                { $0.commit(files, to: "d") }, serving: Serving(mode: mode, why: "asked for"))
            defer { mount.close() }
            for _ in 0..<3 { #expect(try mount.read("datasets/d/v1/f") == expected) }
            let stats = try mount.stats()
            #expect(try #require(stats["operations"]?["OPEN"]?.integer) >= 3)
            #expect(stats["passthrough_opens"]?.integer == 0)
            if mode == .passthrough, geteuid() != 0 {
                #expect(stats["serve"]?.string == "plain")
                #expect(try #require(stats["why"]?.string).hasPrefix("no passthrough: "))
            } else {
                #expect(stats["serve"]?.string == mode.rawValue || !canPassThrough)
            }
            let latency = try #require(stats["latency"]?["OPEN"])
            #expect(latency["count"]?.integer ?? 0 >= 3)
            #expect(latency["total_us"]?.integer ?? -1 >= latency["max_us"]?.integer ?? 0)
            // What was read once is the kernel's.
            let before = try #require(stats["operations"]?["READ"]?.integer)
            let asked = try requestsOfPasses(
                counter: { try mount.stats()["operations"]?["READ"]?.integer ?? -1 },
                pass: { try #require(try mount.read("datasets/d/v1/f") == expected) })
            #expect(asked.last == 0 && before > 0)
        }
    }
}

/// The table of open files, with a kernel that only notes what it is told.
@Suite struct BackingFilesTests {
    private final class Kernel: Sendable {
        struct State: Sendable {
            var next: Int32 = 1
            var known = [Int32: Int32]()
            var journal = [BackingFiles.Standing]()
            var refusal: Int32?
            var refused = [Int32]()
        }
        let state = Mutex(State())

        func table() -> BackingFiles {
            BackingFiles(
                device: BackingFiles.Device(
                    register: { descriptor in
                        self.state.withLock { state in
                            if let refusal = state.refusal { return -refusal }
                            defer { state.next += 1 }
                            state.known[state.next] = descriptor
                            return state.next
                        }
                    }, release: { id in self.state.withLock { $0.known[id] = nil } }),
                journal: { one in self.state.withLock { $0.journal.append(one) } },
                refused: { code in self.state.withLock { $0.refused.append(code) } })
        }
    }

    private func file() throws -> BackingFile {
        BackingFile(descriptor: try OwnedDescriptor.open("/dev/null", O_RDONLY), path: "/dev/null")
    }

    @Test func twoOpensShareAnID() throws {
        let kernel = Kernel()
        let table = kernel.table()
        let file = try file()
        #expect(table.open(7) { file } == 1)
        #expect(
            table.open(7) {
                Issue.record("asked again"); return nil
            } == 1)
        #expect(table.open(8) { file } == 2)
        table.release(7)
        #expect(kernel.state.withLock { $0.known.count } == 2)
        table.release(7)
        #expect(kernel.state.withLock { $0.known.keys.sorted() } == [2])
        #expect(table.open(7) { file } == 3)
        let first = kernel.state.withLock { $0.journal.first }
        #expect(first == .init(node: 7, opens: 1, backing: .init(id: 1, path: "/dev/null")))
        #expect(kernel.state.withLock { $0.journal.contains { $0.node == 7 && $0.opens == 0 } })
    }

    @Test func whatWasChosenStays() throws {
        let kernel = Kernel()
        let table = kernel.table()
        let file = try file()
        #expect(table.open(7) { nil } == nil)
        #expect(table.open(7) { file } == nil)
        table.release(7)
        #expect(table.open(7) { file } == nil)
        table.release(7)
        table.release(7)
        #expect(table.open(7) { file } == 1)
        kernel.state.withLock { $0.refusal = ELOOP }
        #expect(table.open(9) { file } == nil)
        #expect(kernel.state.withLock { $0.refused } == [ELOOP])
        // A release of what is not open is none.
        table.release(1234)
    }

    @Test func aSuccessorGoesOn() throws {
        let kernel = Kernel()
        let file = try file()
        let first = kernel.table()
        _ = first.open(7) { file }
        _ = first.open(7) { file }
        _ = first.open(8) { nil }
        let second = kernel.table()
        second.restore(first.standing)
        #expect(
            second.open(7) {
                Issue.record("asked again"); return nil
            } == 1)
        #expect(second.open(8) { file } == nil)
        for _ in 0..<3 { second.release(7) }
        #expect(kernel.state.withLock { $0.known.isEmpty })
    }
}

extension MountFixture {
    fileprivate func backed(by copies: Copies) -> MountFixture {
        history.back(copies.find)
        return self
    }
}
