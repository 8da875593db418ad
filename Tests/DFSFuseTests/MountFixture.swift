import DFSFuse
import DFSModel
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Dispatch
import Glibc
import Synchronization
import Testing

/// Whether this host lets this user serve a file system; the reason is printed once when not.
let canMount: Bool = {
    if access("/dev/fuse", R_OK | W_OK) == 0 { return true }
    print("skipped: /dev/fuse cannot be opened: \(String(cString: strerror(errno)))")
    return false
}()

/// All tests that mount, one after the other: they look at memory and requests.
@Suite(.enabled(if: canMount), .serialized)
enum RealMounts {}

/// A mount of a fake history, served by threads of this process, in a folder that goes away with it.
final class MountFixture: Sendable {
    let history = FakeHistory()
    let tree: VirtualTree
    let server: FuseServer
    let folder: String
    let mountpoint: String
    let messages = Mutex<[String]>([])
    private let ended = DispatchSemaphore(value: 0)

    init(
        _ prepare: (FakeHistory) -> Void = { _ in }, fsname: String = "dfs:test",
        serving: Serving = Serving(mode: .stateless, why: "asked for")
    ) throws {
        folder = "/tmp/dfs-fuse-" + Randomness.hex(bytes: 8)
        mountpoint = folder + "/mnt"
        try Files.makeDirectories(mountpoint)
        prepare(history)
        tree = VirtualTree(history: history, content: history, options: .init(version: "test", capacityPath: "/tmp"))
        server = try FuseServer(tree: tree, options: .init(mountpoint: mountpoint, fsname: fsname, serving: serving))
        try server.mount()
        let server = server, ended = ended
        let thread = Thread {
            server.serve(); ended.signal()
        }
        thread.start()
    }

    /// Whether serving ends within some seconds.
    func waitForEnd(_ seconds: Double = 20) -> Bool {
        let done = ended.wait(timeout: .now() + seconds) == .success
        if done { ended.signal() }
        return done
    }

    func close() {
        server.stop()
        #expect(waitForEnd(), "serving did not end")
        #expect((try? MountTable.mount(at: mountpoint)) == .some(nil))
        try? Files.removeTree(folder)
    }

    func path(_ name: String) -> String { mountpoint + "/" + name }

    func read(_ name: String) throws -> [UInt8] { try #require(try Files.read(path(name))) }
    func text(_ name: String) throws -> String { String(decoding: try read(name), as: UTF8.self) }
    func names(_ name: String) throws -> [[UInt8]] { try DirectoryListing.names(of: path(name)) }

    func stats() throws -> JSONValue { try JSONValue.parse(try read(".dfs/stats")) }
    func requests() throws -> Int64 { try #require(try stats()["requests"]?.integer) }
}

/// A thread of one's own: serving blocks, and the concurrency pool is for what does not.
struct Thread: Sendable {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    private let box: Box
    init(_ body: @escaping @Sendable () -> Void) { box = Box(body) }

    func start() {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body() }
                return nil
            }, Unmanaged.passRetained(box).toOpaque())
        pthread_detach(thread)
    }
}

/// Writes a model out as real files.
func write(_ files: ReferenceFileSystem, to folder: String) throws {
    for path in files.paths.sorted(by: { $0.count < $1.count }) {
        guard let item = files.items[path] else { continue }
        let bytes = path.reduce(into: Array(folder.utf8)) { $0 += [0x2f] + $1 }
        switch item.body {
        case .directory: _ = withCName(bytes) { mkdir($0, 0o755) }
        case .symlink(let target): _ = withCName(target) { target in withCName(bytes) { symlink(target, $0) } }
        case .file(let content):
            let fd = try OwnedDescriptor.open(bytes: bytes, O_WRONLY | O_CREAT, at: AT_FDCWD)
            try Files.write(content, to: fd.raw, what: "a test file")
            fchmod(fd.raw, mode_t(item.mode))
        }
    }
}

/// Runs a shell command and returns its exit code and what it printed.
func shell(_ command: String) throws -> (code: Int32, output: String) {
    let stream = try #require(popen(command + " 2>&1", "r"))
    var out = [UInt8]()
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&buffer, 1, buffer.count, stream)
        if count == 0 { break }
        out += buffer[..<count]
    }
    let status = pclose(stream)
    return (status >> 8 & 0xff, String(decoding: out, as: UTF8.self))
}
