import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSRuns

@Suite struct LibraryTests {
    @Test func readsBuildIDAndSoname() throws {
        let scratch = try Scratch()
        try scratch.shell(
            "echo 'int f(void) { return 1; }' > f.c; cc -shared -fPIC -Wl,-soname,libf.so.7 -Wl,--build-id=0xdeadbeef01 -o f.so f.c"
        )
        let file = try OwnedDescriptor.open(scratch.path + "/f.so", O_RDONLY)
        let elf = try #require(ELFFile(file.raw))
        #expect(elf.buildID == "deadbeef01")
        #expect(elf.soname == "libf.so.7")
        try scratch.write("text", "no program at all, but more than sixty-four bytes of text, so that a header fits")
        #expect(ELFFile(try OwnedDescriptor.open(scratch.path + "/text", O_RDONLY).raw) == nil)
    }

    @Test func damagedELFFilesAreReadWithoutHarm() throws {
        let scratch = try Scratch()
        try scratch.shell("echo 'int f(void) { return 1; }' > f.c; cc -shared -fPIC -o f.so f.c")
        let whole = try #require(try Files.read(scratch.path + "/f.so"))
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = whole
            for _ in 0..<8 {
                bytes[Int.random(in: 6..<1024, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            try scratch.write(
                Array("bad.so".utf8), Array(bytes.prefix(.random(in: 64...bytes.count, using: &generator))))
            _ = ELFFile(try OwnedDescriptor.open(scratch.path + "/bad.so", O_RDONLY).raw)
        }
    }

    @Test func mapsAreParsed() {
        let maps = """
            55d0-55d1 r--p 00000000 fd:00 12 /usr/bin/a program
            55d1-55d2 r-xp 00001000 fd:00 12 /usr/bin/a program
            7f00-7f01 r--p 00000000 fd:00 13 /usr/share/data
            7f01-7f02 r-xp 00000000 fd:00 14 /lib/old.so (deleted)
            7f02-7f03 rwxp 00000000 00:01 15 /memfd:jit (deleted)
            7f03-7f04 r-xp 00000000 00:05 16 /dev/zero
            7f04-7f05 r-xp 00000000 fd:00 17 /a\\012b\\x
            ffff-ffff r-xp 00000000 00:00 0 [vdso]

            """
        let found = MappedFile.parse(Array(maps.utf8)).map { (NameText.encode($0.path), $0.isDeleted) }
        #expect(
            found.map(\.0).sorted()
                == ["/a\nb\\x", "/lib/old.so", "/usr/bin/a program"].map { NameText.encode(Array($0.utf8)) }.sorted())
        #expect(found.filter(\.1).map(\.0) == ["/lib/old.so"])
    }

    @Test func aProcessIsLookedIntoAndWhatItMapsIsRead() throws {
        let scratch = try Scratch()
        let seen = Seen()
        func watch() -> LibraryWatch {
            LibraryWatch(catalogue: FileCatalogue(directory: scratch.path + "/cache")) { seen.add($0) }
        }
        let first = watch()
        #expect(first.look(at: 200, [getpid()]) > 200)
        first.end(milliseconds: 60_000)
        let rows = try #require(first.json["libraries"]?.array)
        let libc = try #require(rows.first { $0["soname"] == "libc.so.6" })
        let path = try #require(libc["path"]?.string)
        let sum = String(decoding: try scratch.shell("sha256sum '\(path)'").prefix(64), as: UTF8.self)
        #expect(libc["sha256"]?.string == "sha256:" + sum)
        #expect(libc["build_id"]?.string?.count == 40)
        #expect(seen.paths.contains(path))
        // What is unchanged is not read again: there is no time for it.
        let second = watch()
        _ = second.look(at: 200, [getpid()])
        second.end(milliseconds: 0)
        #expect(second.json["libraries"]?.array?.first { $0["soname"] == "libc.so.6" } == libc)
    }

    private final class Seen: @unchecked Sendable {
        private let lock = Lock()
        private var found = [String]()
        func add(_ path: [UInt8]) { try? lock.hold { found.append(NameText.encode(path)) } }
        var paths: [String] { (try? lock.hold { found }) ?? [] }
    }
}
