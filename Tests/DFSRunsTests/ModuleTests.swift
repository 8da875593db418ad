import DFSChunking
import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSRuns

@Suite struct ModuleTests {
    private func origin(_ path: String) -> ModuleFile? {
        ModuleFile(opened: path, library: "/opt/py/lib/python3.11", project: ["/home/u/project"])
    }

    @Test func pathsTellWhatAModuleIs() {
        #expect(origin("/opt/py/lib/python3.11/os.py")?.origin == .standardLibrary)
        #expect(
            origin("/opt/py/lib/python3.11/__pycache__/os.cpython-311.opt-1.pyc")?.path
                == "/opt/py/lib/python3.11/os.py")
        #expect(
            origin("/opt/py/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so")?.origin
                == .standardLibrary)
        #expect(
            origin("/home/u/v/lib/python3.11/site-packages/a/b.py")?.origin
                == .installed(site: "/home/u/v/lib/python3.11/site-packages", relative: "a/b.py"))
        #expect(
            origin("/usr/lib/python3/dist-packages/yaml/__pycache__/x.cpython-311.pyc")?.origin
                == .installed(site: "/usr/lib/python3/dist-packages", relative: "yaml/x.py"))
        #expect(origin("/home/u/project/model.py")?.origin == .project)
        #expect(origin("/home/u/lib/model.py")?.origin == .outside)
        #expect(origin("/home/u/lib/fast.cpython-311-x86_64-linux-gnu.so")?.origin == .outside)
        // A library, a file that is being written, data.
        #expect(origin("/usr/lib/x86_64-linux-gnu/libm.so") == nil)
        #expect(origin("/home/u/lib/__pycache__/m.cpython-311.pyc.140212") == nil)
        #expect(origin("/home/u/data.json") == nil)
    }

    @Test(arguments: [
        ("a.py", true), ("/x/a.pyc", true), ("/x/a.so", true), ("/x/liba.so.1.2", true), ("/x/a.sop", false),
        ("/x/py", false),
        ("/x/a.py.1", false), ("/x/1.2", false), (".so", false), ("", false), ("/x/a.txt", false),
    ])
    func namesOfCodeAreTold(_ name: String, _ isCode: Bool) {
        #expect(Array(name.utf8).withUnsafeBytes { CodeName.isCode($0) } == isCode)
    }

    @Test func distributionsOwnTheirFiles() throws {
        let scratch = try Scratch()
        let site = scratch.path + "/site-packages"
        func info(_ name: String, _ version: String, _ record: [String], tops: String? = nil) throws {
            let folder = "site-packages/\(name)-\(version).\(tops == nil ? "dist-info" : "egg-info")"
            try scratch.write(
                folder + (tops == nil ? "/METADATA" : "/PKG-INFO"), "Name: \(name)\nVersion: \(version)\n\nText\n")
            if let tops {
                try scratch.write(folder + "/top_level.txt", tops)
            } else {
                try scratch.write(folder + "/RECORD", record.map { $0 + ",sha256=x,1\n" }.joined())
            }
        }
        try info("Alpha", "1.0", ["alpha/__init__.py", "Alpha-1.0.dist-info/RECORD", "../../bin/alpha"])
        try info("cloud-one", "2.0", ["cloud/one.py", "\"cloud/odd,name.py\""])
        try info("cloud-two", "3.0", ["cloud/two.py"])
        try info("old", "0.1", [], tops: "old\nsix\n")
        for _ in 0..<2 {
            // The second time the cache answers.
            var owners = DistributionOwners(
                site: site, cache: HostCache(directory: scratch.path + "/cache", hash: { Digest.of($0) }))
            func owner(_ path: String) -> String? { owners.owner(of: path).map { "\($0.name) \($0.version ?? "?")" } }
            #expect(owner("alpha/sub/deep.py") == "Alpha 1.0")
            #expect(owner("cloud/one.py") == "cloud-one 2.0")
            #expect(owner("cloud/odd,name.py") == nil || owner("cloud/odd,name.py") == "cloud-one 2.0")
            #expect(owner("cloud/two.py") == "cloud-two 3.0")
            #expect(owner("cloud/three.py") == nil)
            #expect(owner("six.py") == "old 0.1")
            #expect(owner("nobody/x.py") == nil)
        }
    }

    @Test func modulesAreGroupedWithDigestsAndCopied() throws {
        let scratch = try Scratch()
        try scratch.write("site-packages/alpha-1.0.dist-info/METADATA", "Name: alpha\nVersion: 1.0\n\n")
        try scratch.write("site-packages/alpha-1.0.dist-info/RECORD", "alpha/__init__.py,,\n")
        try scratch.write("site-packages/alpha/__init__.py", "a = 1\n")
        try scratch.write("elsewhere/b.py", "b = 2\n")
        let watch = ModuleWatch(
            python: nil, home: nil, project: [scratch.path + "/project"], folder: scratch.path + "/imported",
            scratch: scratch.path, cacheDirectory: nil, catalogue: FileCatalogue(directory: nil), coverage: .opens)
        for name in ["site-packages/alpha/__init__.py", "site-packages/alpha/__init__.py", "elsewhere/b.py", "gone.py"]
        {
            watch.opened(scratch.path + "/" + name)
        }
        watch.end(milliseconds: 60_000)
        let groups = try #require(watch.json["groups"]?.array)
        #expect(groups.map { $0["kind"] } == ["distribution", "outside"])
        let sum = Digest.of(Array("a = 1\n".utf8))
        #expect(groups[0]["name"] == "alpha" && groups[0]["version"] == "1.0")
        #expect(groups[0]["files"]?.array?.first?["sha256"]?.digest == sum)
        let line = "\(sum.hex)  \(scratch.path)/site-packages/alpha/__init__.py\n"
        #expect(groups[0]["digest"]?.digest == Digest.of(Array(line.utf8)))
        #expect(groups[1]["files"]?.array?.last?["sha256"]?["unknown"] != nil)
        #expect(try Files.read(scratch.path + "/imported" + scratch.path + "/elsewhere/b.py") == Array("b = 2\n".utf8))
        #expect(watch.summary["count"] == 3 && watch.summary["copied"] == 1)
    }

    /// What is not a file is not opened, or the watch would wait for the writer of a FIFO.
    @Test func whatIsNoFileIsNotOpened() throws {
        let scratch = try Scratch()
        try scratch.shell("mkfifo x.py x.so; echo 'a = 1' > y.py; ln -s y.py z.py")
        let root = try OwnedDescriptor.open("/", O_RDONLY | O_DIRECTORY)
        for name in ["x.py", "x.so", ".", "gone.py"] {
            #expect(InView.open(scratch.path + "/" + name, root) == nil, "\(name)")
            #expect(InView.open(host: Array("\(scratch.path)/\(name)".utf8)) == nil, "\(name)")
        }
        #expect(InView.open(scratch.path + "/z.py", root) != nil)
        let watch = watch(scratch)
        watch.view(root)
        for name in ["x.py", "z.py"] { watch.opened(scratch.path + "/" + name) }
        watch.end(milliseconds: 60_000)
        let files = watch.json["groups"]?.array?.first?["files"]?.array
        #expect(files?.first?["sha256"]?["unknown"] == "it could not be opened" && files?.last?["size_bytes"] == 6)
    }

    private func watch(_ scratch: Scratch) -> ModuleWatch {
        ModuleWatch(
            python: nil, home: nil, project: [scratch.path + "/project"], folder: scratch.path + "/imported",
            scratch: scratch.path + "/making", cacheDirectory: nil, catalogue: FileCatalogue(directory: nil),
            coverage: .opens)
    }

    /// The folder is being recorded when `end` has returned: nothing more may change there.
    @Test func nothingIsCopiedOnceTheRunHasEnded() throws {
        let scratch = try Scratch()
        try scratch.shell("mkdir making")
        let count = 40
        for i in 0..<count {
            try scratch.write(Array("elsewhere/m\(i).py".utf8), [UInt8](repeating: UInt8(ascii: "#"), count: 1 << 20))
        }
        let watch = watch(scratch)
        for i in 0..<count { watch.opened("\(scratch.path)/elsewhere/m\(i).py") }
        watch.end(milliseconds: 30)
        func listed() throws -> String { String(decoding: try scratch.shell("ls -lR imported making"), as: UTF8.self) }
        try scratch.shell("mkdir -p imported")
        let then = try listed()
        usleep(300_000)
        #expect(try listed() == then)
        #expect(try DirectoryListing.names(of: scratch.path + "/making").isEmpty)
        let copies =
            try DirectoryListing.names(of: scratch.path + "/imported").isEmpty
            ? 0 : DirectoryListing.names(of: scratch.path + "/imported" + scratch.path + "/elsewhere").count
        #expect(watch.summary["copied"]?.integer ?? 0 == Int64(copies))
    }
}
