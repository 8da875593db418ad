import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// A user who plays with the built programs: a home, a store, and everything of it in a directory that goes away.
final class Stage: Sendable {
    /// Whether a file system can be served by whoever runs the tests; the reason is printed once when not.
    static let canMount: Bool = {
        if access("/dev/fuse", R_OK | W_OK) == 0 { return true }
        print("skipped: /dev/fuse cannot be opened: \(String(cString: strerror(errno)))")
        return false
    }()

    /// Whether images can be mounted by whoever runs the tests.
    static let canSeal: Bool = {
        guard geteuid() == 0 else {
            print("skipped: only root may mount an image")
            return false
        }
        func isKnown() -> Bool {
            guard let bytes = try? Files.read("/proc/filesystems") else { return false }
            return String(decoding: bytes, as: UTF8.self).contains("\terofs\n")
        }
        if isKnown() { return true }
        let folder = try? TemporaryDirectory()
        _ = try? SpawnedProgram(
            "/sbin/modprobe", [Array("erofs".utf8)], variables: ["PATH": "/sbin:/bin"], in: "/",
            scratch: folder?.path ?? "/tmp"
        ).wait()
        if isKnown() { return true }
        print("skipped: no EROFS in this kernel")
        return false
    }()

    let directory: TemporaryDirectory
    /// Executes all programs: how another user is played.
    private let prefix: [String]
    let programs: String

    /// `programs` is where `dfs` and `dfs-run` are, `prefix` a command that executes what follows it, as `owner`.
    init(programs: String = SpawnedProgram.products, prefix: [String] = [], owner: uid_t? = nil) throws {
        directory = try TemporaryDirectory()
        self.programs = programs
        self.prefix = prefix
        for name in ["home", "scratch", "run", "project"] {
            try Files.makeDirectories(directory.sub(name), mode: name == "run" ? 0o700 : 0o755)
            if let owner { try #require(chown(directory.sub(name), owner, owner) == 0) }
        }
        if let owner { try #require(chown(directory.path, owner, owner) == 0) }
        try done("init")
    }

    var home: String { directory.sub("home") }
    var store: String { directory.sub("store") }
    var project: String { directory.sub("project") }
    var runtime: String { directory.sub("run") }

    var variables: [String: String] {
        [
            "HOME": home, "XDG_RUNTIME_DIR": runtime, "XDG_CONFIG_HOME": home + "/config",
            "XDG_CACHE_HOME": home + "/cache", "XDG_DATA_HOME": home + "/data", "DFS_STORE": store,
            "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "DFS_VIEW_LINGER": "0",
            // Tests of that set it: the system's own Python is frozen otherwise, in every store.
            "DFS_FREEZE_LIMIT": "0",
        ]
    }

    // MARK: Programs

    /// Starts a program of the build, or one given by an absolute path.
    func start(
        _ name: String, _ arguments: [String], in place: String? = nil, input: Int32? = nil,
        variables more: [String: String] = [:]
    ) throws -> SpawnedProgram {
        let scratch = directory.sub("scratch/" + Randomness.hex(bytes: 6))
        try Files.makeDirectories(scratch)
        return try SpawnedProgram(
            name.hasPrefix("/") ? name : programs + "/" + name, arguments.map { Array($0.utf8) },
            variables: variables.merging(more) { $1 }, in: place ?? project, input: input, prefix: prefix,
            scratch: scratch)
    }

    func dfs(_ arguments: String..., in place: String? = nil) throws -> SpawnedProgram.Result {
        try start("dfs", arguments, in: place).wait()
    }

    /// Runs `dfs`, which must succeed; returns what it printed.
    @discardableResult
    func done(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws -> String {
        let result = try start("dfs", arguments).wait()
        try #require(result.code == 0, "dfs \(arguments): \(result.errorText)", sourceLocation: location)
        return result.outputText
    }

    func launch(_ arguments: String..., in place: String? = nil) throws -> SpawnedProgram.Result {
        try start("dfs-run", arguments, in: place).wait()
    }

    /// Runs a shell script that must succeed; returns what it printed, without the last newline.
    @discardableResult
    func shell(_ script: String, in place: String? = nil, location: SourceLocation = #_sourceLocation) throws -> String
    {
        let result = try start("/bin/sh", ["-ec", script], in: place ?? directory.path).wait()
        try #require(
            result.code == 0, "\(script)\n\(result.outputText)\(result.errorText)", sourceLocation: location)
        return String(result.outputText.hasSuffix("\n") ? result.outputText.dropLast() : result.outputText[...])
    }

    func json(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws -> JSONValue {
        let result = try start("dfs", arguments + ["--json"]).wait()
        try #require(result.code == 0, "dfs \(arguments): \(result.errorText)", sourceLocation: location)
        return try JSONValue.parse(result.output)
    }

    // MARK: Looking

    /// Everything about a directory that writing to it would change, as text that can be compared.
    func fingerprint(_ path: String) throws -> String {
        try shell(
            #"find . -printf '%P|%y|%m|%s|%T@|%l\n' | LC_ALL=C sort; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum"#,
            in: path)
    }

    /// Throws when there is no such file, so that it can be waited for.
    func text(_ path: String) throws -> String {
        guard let bytes = try Files.read(path) else { throw System.error(ENOENT, "cannot read \(path)") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Mounts the store for as long as `body` takes.
    func mounted<R>(_ body: (_ mountpoint: String) throws -> R) throws -> R {
        let mountpoint = directory.sub("mnt")
        try Files.makeDirectories(mountpoint)
        try done("mount", mountpoint)
        defer {
            let end = try? dfs("umount", mountpoint)
            if end?.code != 0 { Issue.record("dfs umount: \(end?.errorText ?? "")") }
        }
        return try body(mountpoint)
    }

    /// The mounts of this host that lie in the stage's directory.
    func mounts() throws -> [String] {
        try text("/proc/self/mountinfo").split(separator: "\n").map { String($0.split(separator: " ")[4]) }
            .filter { $0.hasPrefix(directory.path + "/") }
    }

    /// Processes whose command line names something of the stage: servers and jobs that should be gone.
    func processes() throws -> [String] {
        var found = [String]()
        for name in try DirectoryListing.names(of: "/proc") {
            let pid = String(decoding: name, as: UTF8.self)
            guard let number = pid_t(pid), number != getpid(), let line = try? Files.read("/proc/\(pid)/cmdline")
            else { continue }
            let words = String(decoding: line.map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
            if words.contains(directory.path) { found.append("\(pid) \(words)") }
        }
        return found
    }

    /// The one process of the stage whose command line has this word.
    func process(_ word: String, location: SourceLocation = #_sourceLocation) throws -> pid_t {
        let found = try processes().filter { $0.contains(word) }
        let id = found.count == 1 ? found[0].split(separator: " ").first.flatMap { pid_t($0) } : nil
        return try #require(id, "\(found)", sourceLocation: location)
    }

    /// Nothing that a command started or mounted is left.
    func expectNothingLeft(location: SourceLocation = #_sourceLocation) throws {
        Self.eventually("no process of \(directory.path)", location: location) { try processes().isEmpty }
        #expect(try mounts() == [], sourceLocation: location)
        for folder in ["views", "sealed"].map({ runtime + "/dfs/" + $0 }) where Files.isDirectory(folder) {
            let names = try DirectoryListing.names(of: folder).map { NameText.display($0) }
            #expect(names == [], "left in \(folder)", sourceLocation: location)
        }
    }

    /// Waits until something holds; half a minute is for a machine that is busy with something else.
    @discardableResult
    static func eventually(
        _ what: String, location: SourceLocation = #_sourceLocation, _ holds: () throws -> Bool
    ) -> Bool {
        for _ in 0..<1500 {
            if (try? holds()) == true { return true }
            usleep(20_000)
        }
        Issue.record("never came: \(what)", sourceLocation: location)
        return false
    }
}
