import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSCommands

@Suite struct StoreLocatorTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    private func locate(
        _ option: String? = nil, _ variables: [String: String] = [:], in directory: String? = nil
    ) throws -> StoreLocation {
        var environment = sandbox.environment(variables)
        if let directory { environment.directory = directory }
        return try StoreLocator(environment: environment).locate(option: option)
    }

    /// Every level is there; taking away the highest lets the next one speak.
    @Test func precedence() throws {
        try sandbox.write("store = \"/of/project\"", to: "work/dfs.toml")
        try sandbox.write("store = \"/of/user\"", to: "home/.config/dfs/config.toml")
        try sandbox.write("store = \"/of/system\"", to: "etc/config.toml")
        let variables = ["DFS_STORE": "/of/variable"]
        #expect(try locate("/of/option", variables) == StoreLocation(location: "/of/option", level: .option))
        #expect(try locate(nil, variables) == StoreLocation(location: "/of/variable", level: .variable))
        let project = sandbox.work + "/dfs.toml"
        #expect(try locate() == StoreLocation(location: "/of/project", level: .project(file: project)))
        try Files.remove(project)
        let user = sandbox.home + "/.config/dfs/config.toml"
        #expect(try locate() == StoreLocation(location: "/of/user", level: .user(file: user)))
        try Files.remove(user)
        let system = sandbox.root + "/etc/config.toml"
        #expect(try locate() == StoreLocation(location: "/of/system", level: .system(file: system)))
        #expect(try locate().isDefault == false)
        try Files.remove(system)
        let fallback = try locate()
        #expect(fallback == StoreLocation(location: sandbox.home + "/.local/share/dfs/store", level: .fallback))
        #expect(fallback.isDefault)
    }

    @Test func aFileWithoutAStoreLetsTheNextLevelSpeak() throws {
        try sandbox.write("[project]\nname = \"p\"", to: "work/dfs.toml")
        try sandbox.write("", to: "home/.config/dfs/config.toml")
        try sandbox.write("store = \"/of/system\"", to: "etc/config.toml")
        #expect(try locate().location == "/of/system")
    }

    @Test func relativePathsStartWhereTheyWereWritten() throws {
        #expect(try locate("s").location == sandbox.work + "/s")
        #expect(try locate("../s/./t").location == sandbox.root + "/s/t")
        #expect(try locate(nil, ["DFS_STORE": "s"]).location == sandbox.work + "/s")
        try sandbox.write("store = \"../s\"", to: "work/dfs.toml")
        #expect(try locate(nil, in: sandbox.work + "/deep/er").location == sandbox.root + "/s")
        try sandbox.write("store = \"~/s\"", to: "work/dfs.toml")
        #expect(try locate().location == sandbox.home + "/s")
        try sandbox.write("store = \"s3://bucket/a/../b\"", to: "work/dfs.toml")
        #expect(try locate().location == "s3://bucket/a/../b")
        #expect(try locate().isRemote)
    }

    @Test func theNearestProjectFileCounts() throws {
        try sandbox.write("store = \"/far\"", to: "work/dfs.toml")
        try sandbox.write("store = \"/near\"", to: "work/deep/dfs.toml")
        #expect(try locate(nil, in: sandbox.work + "/deep/er").location == "/near")
        #expect(try locate(nil, in: sandbox.work).location == "/far")
    }

    @Test func emptyMeansUnset() throws {
        #expect(try locate(nil, ["DFS_STORE": ""]).isDefault)
        let error = #expect(throws: DFSError.self) { try locate("") }
        #expect(error?.code == .usage)
    }

    @Test func baseDirectoriesFollowTheirVariables() throws {
        let data = sandbox.root + "/data"
        #expect(try locate(nil, ["XDG_DATA_HOME": data]).location == data + "/dfs/store")
        #expect(try locate(nil, ["XDG_DATA_HOME": "relative"]).location == sandbox.home + "/.local/share/dfs/store")
        try sandbox.write("store = \"/of/user\"", to: "conf/dfs/config.toml")
        #expect(try locate(nil, ["XDG_CONFIG_HOME": sandbox.root + "/conf"]).location == "/of/user")
    }

    @Test func aBrokenFileHurtsOnlyWhoNeedsIt() throws {
        try sandbox.write("store = ", to: "home/.config/dfs/config.toml")
        #expect(throws: Never.self) { try locate("/x") }
        #expect(throws: DFSError.self) { try locate() }
    }

    @Test func aMissingStoreIsNamedWithItsLevel() throws {
        let named = try locate("no where").missing
        #expect(named.code == .noStore && named.cause == "named by --store")
        #expect(named.what == "there is no store at \(sandbox.work)/no where")
        #expect(named.hint == "dfs init '\(sandbox.work)/no where'")
        #expect(try locate().missing.hint == "dfs commit --help")
    }

    @Test func withoutAHomeOnlyTheDefaultIsMissing() throws {
        let environment = sandbox.environment(home: .some(nil))
        let error = #expect(throws: DFSError.self) { try StoreLocator(environment: environment).locate(option: nil) }
        #expect(error?.what == "there is no home directory")
        try sandbox.write("store = \"/of/system\"", to: "etc/config.toml")
        #expect(try StoreLocator(environment: environment).locate(option: nil).location == "/of/system")
    }
}

@Suite struct DirectoriesTests {
    @Test func fromHomeOrVariables() throws {
        var environment = ProcessEnvironment(variables: [:], workingDirectory: "/", home: "/home/u")
        #expect(try Directories(environment).cache() == "/home/u/.cache/dfs")
        #expect(try Directories(environment).configuration() == "/home/u/.config/dfs")
        #expect(try Directories(environment).keyFile() == "/home/u/.config/dfs/key")
        #expect(try Directories(environment).data() == "/home/u/.local/share/dfs")
        #expect(try Directories(environment).runtime() == "/home/u/.cache/dfs")
        environment.variables = [
            "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "/k", "XDG_RUNTIME_DIR": "/r", "XDG_DATA_HOME": "d",
        ]
        #expect(try Directories(environment).cache() == "/c/dfs")
        #expect(try Directories(environment).keyFile() == "/k/dfs/key")
        #expect(try Directories(environment).runtime() == "/r/dfs")
        #expect(try Directories(environment).data() == "/home/u/.local/share/dfs")
        environment.home = nil
        #expect(try Directories(environment).cache() == "/c/dfs")
        let error = #expect(throws: DFSError.self) { try Directories(environment).data() }
        #expect(error?.cause == "neither HOME nor XDG_DATA_HOME is set")
        environment.home = "/"
        #expect(try Directories(environment).data() == "/.local/share/dfs")
    }

    @Test func thisProcessHasAnEnvironment() {
        let environment = ProcessEnvironment.current()
        #expect(environment["PATH"] != nil && environment["DFS_NO_SUCH_VARIABLE"] == nil)
        #expect(environment.directory?.hasPrefix("/") == true)
    }
}

@Suite struct ProjectFileTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    private func read(_ text: String) throws -> ProjectFile? {
        try sandbox.write(text, to: "work/dfs.toml")
        return try ProjectFile.find(from: sandbox.work + "/deep")
    }

    @Test func everythingItMaySay() throws {
        let project = try #require(
            try read(
                """
                store = "store"   # relative
                [project]
                name = "trainer"
                [data]
                faces = "data/faces"
                "team/cats" = "/srv/cats"
                [run]
                data = ["data/faces=faces", "cats"]
                require = "same-numerics"
                env = ["LR"]
                max-file = "64 MiB"
                """))
        #expect(project.path == sandbox.work + "/dfs.toml" && project.directory == sandbox.work)
        #expect(project.store == "store" && project.projectName == "trainer")
        #expect(project.data == ["faces": sandbox.work + "/data/faces", "team/cats": "/srv/cats"])
        #expect(project.run.data == ["data/faces=faces", "cats"] && project.run.require == "same-numerics")
        #expect(project.run.environment == ["LR"] && project.run.maximumFile == ByteCount(64 << 20))
        #expect(project.warnings.isEmpty)
    }

    @Test func nothingIsFineToo() throws {
        let project = try #require(try read(""))
        #expect(project.store == nil && project.data.isEmpty && project.run == .init() && project.warnings.isEmpty)
        try Files.remove(sandbox.work + "/dfs.toml")
        #expect(try ProjectFile.find(from: sandbox.work) == nil)
        #expect(try read("[run]\nmax-file = 4096")?.run.maximumFile == ByteCount(4096))
    }

    @Test func unknownKeysAreNamedWithTheirLine() throws {
        let file = sandbox.work + "/dfs.toml"
        let project = try #require(try read("stroe = \"x\"\n\n[run]\nenv = []\nmax_file = 1\n[colour]\nx = 1\n"))
        #expect(
            project.warnings.sorted() == [
                "\(file), line 1: unknown key stroe; did you mean store?",
                "\(file), line 5: unknown key run.max_file; did you mean max-file?",
                "\(file), line 6: unknown key colour",
            ])
    }

    @Test(arguments: [
        ("store = ", 1), ("a = 1\nstore = \"x", 2), ("[run\n", 1), ("x = 1\nx = 2\n", 2), ("[a]\n[a]\n", 2),
        ("\n\n= 1", 3),
    ])
    func malformedFilesNameTheLine(_ text: String, _ line: Int) throws {
        let error = #expect(throws: DFSError.self) { try read(text) }
        #expect(error?.code == .operational)
        #expect(error?.what == "cannot read \(sandbox.work)/dfs.toml, line \(line)")
        #expect(error?.cause?.isEmpty == false)
        #expect(error?.hint == "sed -n \(line)p \(sandbox.work)/dfs.toml")
    }

    @Test(arguments: [
        ("store = 1", 1, "store", "a text"), ("\n[project]\nname = []", 3, "project.name", "a text"),
        ("[run]\ndata = \"x\"", 2, "run.data", "a list of texts"),
        ("[run]\nenv = [1]", 2, "run.env", "a list of texts"),
        ("[run]\nmax-file = \"much\"", 2, "run.max-file", "a size such as \"100 MB\""),
        ("[run]\nmax-file = -1", 2, "run.max-file", "a size such as \"100 MB\""),
        ("data = 1", 1, "data", "a section: [data]"),
        ("run.require = 1", 1, "run.require", "a text"), ("[data]\nfaces = 1", 2, "data.faces", "a text"),
    ])
    func valuesOfTheWrongKind(_ text: String, _ line: Int, _ key: String, _ expected: String) throws {
        let error = #expect(throws: DFSError.self) { try read(text) }
        #expect(error?.what == "\(sandbox.work)/dfs.toml, line \(line): \(key) cannot be used")
        #expect(error?.cause == "it must be \(expected)")
        #expect(error?.hint == "sed -n \(line)p \(sandbox.work)/dfs.toml")
    }

    @Test(arguments: [[0x61, 0x20, 0x3d, 0x20, 0x31, 0x00], [0x23, 0xff, 0x0a]] as [[UInt8]])
    func whatIsNotTextIsRefused(_ bytes: [UInt8]) throws {
        try sandbox.write(bytes, to: "work/dfs.toml")
        let error = #expect(throws: DFSError.self) { try ProjectFile.find(from: sandbox.work) }
        #expect(error?.cause == "it is not UTF-8 text")
    }

    @Test func hostileTextNeverTraps() throws {
        let deep = "a = " + String(repeating: "[", count: 100_000)
        for text in [
            deep, "\"a\\u0000b\" = 1\n[data]\n\"x\\u0000y\" = \"z\"", "a = 1e999", "a = 2026-99-99",
            "\u{feff}store = \"x\"",
        ] {
            _ = try? read(text)
        }
        #expect(try read("store = \"ok\"")?.store == "ok")
    }

    @Test func aStrangersFileInAnOpenDirectoryIsRefused() throws {
        guard geteuid() == 0 else { return }
        try sandbox.write("store = \"/theirs\"", to: "work/dfs.toml")
        let file = sandbox.work + "/dfs.toml"
        try #require(chown(file, 12345, 12345) == 0)
        #expect(try ProjectFile.find(from: sandbox.work)?.store == "/theirs")
        try #require(chmod(sandbox.work, 0o1777) == 0)
        let error = #expect(throws: DFSError.self) { try ProjectFile.find(from: sandbox.work) }
        #expect(error?.code == .refused && error?.what == "\(file) is not used")
    }
}
