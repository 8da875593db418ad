import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSIndex

/// Several threads and processes on one index.
@Suite struct SharingTests {
    static func add(_ index: Index, times: Int) throws {
        for _ in 0..<times {
            try index.write { t throws(DFSError) in
                let old = try t.get("state", [1]) ?? [0, 0]
                let sum = Int(old[0]) + Int(old[1]) * 256 + 1
                try t.put("state", [1], [UInt8(sum & 255), UInt8(sum >> 8)])
            }
        }
    }

    static func sum(_ index: Index) throws -> Int {
        let value = try index.read { t throws(DFSError) in try t.get("state", [1]) } ?? [0, 0]
        return Int(value[0]) + Int(value[1]) * 256
    }

    @Test func threadsAndProcessesTakeTurns() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        async let first = #expect(processExitsWith: .success) { [path = path as String] in
            try Self.add(try Sample.open(path), times: 150)
        }
        async let second = #expect(processExitsWith: .success) { [path = path as String] in
            try Self.add(try Sample.open(path), times: 150)
        }
        let failures = Counter()
        Workers.run(8) { _ in
            do { try Self.add(index, times: 20) } catch { failures.increment() }
        }
        _ = await (first, second)
        #expect(failures.current == 0)
        #expect(try Self.sum(index) == 460)
        #expect(!FileStatusList.names(path).contains { $0.hasPrefix("aside") })
    }

    @Test func anotherProcessGrowsTheFile() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        #expect(try Self.sum(index) == 0)
        let big = [UInt8](repeating: 5, count: 1 << 20)
        await #expect(processExitsWith: .success) { [path = path as String] in
            let index = try Sample.open(path)
            let big = [UInt8](repeating: 5, count: 1 << 20)
            try index.write { t throws(DFSError) in
                for i in 0..<12 { try t.put("chunks", [UInt8(i)], big) }
            }
        }
        #expect(try index.read { t throws(DFSError) in try t.get("chunks", [11]) }?.count == big.count)
        try Self.add(index, times: 1)
        #expect(try Self.sum(index) == 1)
        #expect(!index.wasRebuilt || index.damagedValues == 0)
    }

    @Test func growthWaitsForReadersOfThisProcess() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        try Sample.fill(index, count: 200)
        let failures = Counter()
        let big = [UInt8](repeating: 5, count: 300_000)
        Workers.run(6) { worker in
            do {
                for i in 0..<16 {
                    if worker == 0 {
                        try index.write { t throws(DFSError) in try t.put("chunks", [1, UInt8(i)], big) }
                    } else if try Sample.inspect(index, count: 100).right != 0 {
                        // Right or not there: keys of `fill(200)` and `inspect(100)` are the same ones.
                        continue
                    } else {
                        failures.increment()
                    }
                }
            } catch { failures.increment() }
        }
        #expect(failures.current == 0)
        #expect(try index.read { t throws(DFSError) in try t.get("chunks", [1, 15]) }?.count == big.count)
    }

    @Test func aWriterThatDiesBlocksNobody() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        try Self.add(index, times: 3)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let index = try Sample.open(path)
            try index.write { t throws(DFSError) in
                try t.put("state", [1], [99, 99])
                kill(getpid(), SIGKILL)
            }
        }
        #expect(try Self.sum(index) == 3)
        try Self.add(index, times: 1)
        #expect(try Self.sum(index) == 4)
    }

    @Test func aDeadReaderDoesNotKeepPages() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        try Sample.fill(index, count: 200)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let index = try Sample.open(path)
            try index.read { _ throws(DFSError) in _ = kill(getpid(), SIGKILL) }
        }
        await #expect(processExitsWith: .success) { [path = path as String] in
            // An open frees the dead reader's slot.
            try Self.add(try Sample.open(path), times: 1)
        }
        try Self.add(index, times: 20)
        let before = try FileStatus.of(path: path + "/env/data.mdb")?.size
        try Self.add(index, times: 300)
        #expect(try FileStatus.of(path: path + "/env/data.mdb")?.size == before)
    }

    /// Another process finds the file damaged and makes a new one: who has the old one open keeps it.
    @Test func replacementDoesNotDisturb() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        try Sample.fill(index, count: 300)
        await #expect(processExitsWith: .success) { [path = path as String] in
            let other = try Index.open(directory: path, identity: "store 2", tables: Sample.tables)
            guard other.wasRebuilt else { throw DFSError(.corrupt, "taken for its own") }
            try Sample.fill(other, count: 50)
        }
        #expect(try Sample.inspect(index, count: 300).absent == 0)
        try Self.add(index, times: 5)
        #expect(try Self.sum(index) == 5)
        let other = try Index.open(directory: path, identity: "store 2", tables: Sample.tables)
        #expect(!other.wasRebuilt)
        #expect(try Sample.inspect(other, count: 50).absent == 0)
    }

    @Test func anIndexDeletedUnderItsUser() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        try Sample.fill(index, count: 100)
        try Files.removeTree(scratch / "a")
        #expect(try Sample.inspect(index, count: 100).absent == 0)
        try Self.add(index, times: 1)
        let fresh = try Sample.open(scratch / "a")
        #expect(fresh !== index && fresh.wasRebuilt)
        try Self.add(fresh, times: 2)
        #expect(try Self.sum(index) == 1)
        #expect(try Self.sum(fresh) == 2)
    }

    @Test func discardReachesOtherProcesses() async throws {
        let scratch = try Scratch()
        let path = scratch / "a"
        let index = try Sample.open(path)
        try Sample.fill(index, count: 100)
        await #expect(processExitsWith: .success) { [path = path as String] in try Sample.open(path).discard() }
        #expect(try Sample.inspect(index, count: 100).right == 0)
    }

    @Test(.enabled(if: geteuid() == 0, "mounts a small file system"))
    func aFullOrReadOnlyDiskIsAnError() async throws {
        let reports = try Scratch()
        let failure = reports / "failure"
        await #expect(processExitsWith: .success) { [failure = failure as String] in
            try Child.run(failure) {
                let scratch = try Scratch()
                try System.call("mount") { mount("none", scratch.path, "tmpfs", 0, "size=2m") }
                defer { umount2(scratch.path, Int32(MNT_DETACH)) }
                try Self.fillTheDisk(scratch)
                let flags = UInt(MS_RDONLY | MS_REMOUNT)
                try System.call("remount") { mount("none", scratch.path, nil, flags, nil) }
                try Self.expect(EROFS) { _ = try Sample.open(scratch / "b") }
            }
        }
        try Child.report(failure)
    }

    private static func fillTheDisk(_ scratch: Scratch) throws {
        let index = try Sample.open(scratch / "a")
        try add(index, times: 2)
        let big = [UInt8](repeating: 5, count: 4 << 20)
        try expect(ENOSPC) { try index.write { t throws(DFSError) in try t.put("chunks", [1], big) } }
        try Child.require(try sum(index) == 2, "what was there is gone")
        mkdir(scratch / "b", 0o700)
        let fd = try OwnedDescriptor.open(scratch / "rest", O_WRONLY | O_CREAT)
        try expect(ENOSPC) { try Files.write(big, to: fd.raw, what: "rest") }
        try expect(ENOSPC) { _ = try Sample.open(scratch / "b") }
        // Reading still works, and so does what was open.
        try Child.require(try sum(index) == 2, "what was there is gone on a full disk")
    }

    private static func expect(_ code: Int32, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as DFSError where error.errno == code && error.hint != nil { return }
        throw DFSError(.corrupt, "no error where \(String(cString: strerror(code))) was due")
    }

    @Test func localFileSystemsAreNoNetwork() throws {
        let scratch = try Scratch()
        #expect(try FileSystemKind.network(scratch.path) == nil)
        #expect(throws: DFSError.self) { try FileSystemKind.network(scratch / "none") }
    }
}

enum FileStatusList {
    static func names(_ path: String) -> [String] {
        (try? DirectoryListing.names(of: path))?.map { String(decoding: $0, as: UTF8.self) } ?? []
    }
}
