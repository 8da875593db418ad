import DFSModel
import DFSRuns
import DFSSystem
import Glibc
import Testing

@Suite struct TreeWatchTests {
    private let scratch: Scratch
    /// Nothing ever comes out of it.
    private let never: OwnedDescriptor

    init() throws {
        scratch = try Scratch()
        try scratch.shell("mkdir -p a/b/c out")
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        never = OwnedDescriptor(adopting: ends[0])
        // The other end stays open for as long as the process lives: a pipe without writers can be read.
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
    }

    private func watch(_ excluded: [String] = ["out"], maximum: Int = .max) throws -> TreeWatch {
        try TreeWatch(
            root: scratch.path, exclusions: ExclusionTree(excluded.map { Array($0.utf8) }), maximum: maximum)
    }

    /// Whether a change is told of before the tree is quiet for a moment.
    private func changes(_ watch: TreeWatch) throws -> Bool {
        var any = false
        while try watch.wait(milliseconds: 100, stop: never.raw) == .changed { any = true }
        return any
    }

    @Test func whatIsTold() throws {
        let watch = try watch()
        #expect(watch.watchedDirectories == 4)
        #expect(try !changes(watch))
        for script in [
            "echo x > a/b/c/f", "echo y >> a/b/c/f", "chmod +x a/b/c/f", "mv a/b/c/f a/f", "rm a/f",
            "mkdir -p new/er/est",
            "echo z > new/er/est/f", "mv new/er moved", "echo z > moved/est/g", "ln -s x link", "rm -r moved",
        ] {
            try scratch.shell(script)
            #expect(try changes(watch), "\(script)")
        }
        for script in ["echo x > out/f", "mkdir -p out/d", "cat a/b 2> /dev/null || true", "ls -R > /dev/null"] {
            try scratch.shell(script)
            #expect(try !changes(watch), "\(script)")
        }
    }

    @Test func anotherSurvey() throws {
        let watch = try watch()
        watch.update(ExclusionTree([Array("a/b".utf8)]))
        #expect(watch.watchedDirectories == 3)
        try scratch.shell("echo x > a/b/f")
        #expect(try !changes(watch))
        try scratch.shell("echo x > out/f")
        #expect(try changes(watch))
    }

    /// More events than the kernel keeps: the change is told of, and what came meanwhile is watched.
    @Test func overflow() throws {
        let watch = try watch()
        try scratch.shell(
            "mkdir a/d; for i in $(seq 9000); do : > a/x; rm a/x; done; mkdir -p late/later; touch a/b/c/f")
        #expect(try changes(watch))
        try scratch.shell("echo x > late/later/f")
        #expect(try changes(watch))
    }

    @Test func tooManyDirectories() throws {
        #expect(try watch().limit == nil)
        let watch = try watch(maximum: 2)
        #expect(watch.limit?.contains("2 directories") == true && watch.watchedDirectories == 2)
    }

    @Test func stopping() throws {
        let watch = try watch()
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        #expect(write(ends[1], [1], 1) == 1)
        #expect(try watch.wait(milliseconds: -1, stop: ends[0]) == .stopped)
        close(ends[0])
        close(ends[1])
    }
}
