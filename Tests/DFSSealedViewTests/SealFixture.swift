import CLinux
import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSSealedView

/// Everything that mounts, one after the other.
@Suite(.enabled(if: SealFixture.canMount), .serialized) enum SealedMounting {}

/// A store of one dataset, whose versions can be sealed and looked at.
final class SealFixture {
    /// Whether whoever runs the tests may mount images here; the reason is printed once when not.
    static let canMount: Bool = {
        guard geteuid() == 0 else {
            print("skipped: only root may mount an image")
            return false
        }
        // Asking for it loads it.
        let context = clinux_fsopen("erofs")
        guard context >= 0 else {
            print("skipped: no EROFS in this kernel: \(String(cString: strerror(errno)))")
            return false
        }
        close(context)
        return true
    }()

    /// Small packs and chunks, so that little data is much to a view.
    static var parameters: StoreParameters {
        var parameters = StoreParameters.standard
        parameters.chunk = ChunkParameters(minimum: 4 << 10, average: 16 << 10, maximum: 64 << 10)
        parameters.packTarget = 1 << 20
        parameters.singleFile = 256 << 10
        return parameters
    }

    let test: TestRepository
    let views: SealedViews
    var source: String { test.directory.sub("source") }
    var mountpoint: String { test.directory.sub("mnt") }

    init(limit: UInt64 = .max, threads: Int = 2, deviceLimit: Int? = nil) throws {
        test = try TestRepository(parameters: Self.parameters)
        views = SealedViews(repository: test.repository, limit: limit, threads: threads, deviceLimit: deviceLimit)
        try Files.makeDirectories(test.directory.sub("source"))
        try Files.makeDirectories(test.directory.sub("mnt"))
    }

    func write(_ name: String, _ bytes: [UInt8]) throws { try test.directory.write("source/" + name, bytes) }

    func commit() throws -> VersionRecord {
        var commit = Commit(repository: test.repository, dataset: "x", source: source, options: CaptureOptions())
        commit.allowShrink = true
        return try commit.run(by: test.signer).version
    }

    func subject(_ version: VersionRecord) -> ViewSubject {
        ViewSubject(
            tree: version.tree, modified: version.time, dataset: "x", version: version.number, rootMask: 0o777)
    }

    func prepare(_ version: VersionRecord) throws -> SealedView { try views.prepare(subject(version)) }

    /// Mounts a view for as long as `body` takes.
    func mounted<R>(_ view: SealedView, _ body: (String) throws -> R) throws -> R {
        try view.mount(at: mountpoint)
        defer { if umount2(mountpoint, 0) != 0 { Issue.record("cannot unmount \(mountpoint): errno \(errno)") } }
        return try body(mountpoint)
    }

    /// Seals a version, which is what the source is now, and compares both. Returns what is known of the image.
    @discardableResult
    func expectSame(_ version: VersionRecord, location: SourceLocation = #_sourceLocation) throws -> ViewManifest {
        let view = try prepare(version)
        try expectSame(view, location: location)
        #expect(
            UInt64(view.manifest.mappedBytes + view.manifest.copiedBytes + view.manifest.inlineBytes)
                == version.tree.bytes, sourceLocation: location)
        return view.manifest
    }

    func expectSame(_ view: SealedView, location: SourceLocation = #_sourceLocation) throws {
        try mounted(view) { mount in
            try TreeFacts.expectEqual(TreeFacts.of(source), TreeFacts.of(mount), location: location)
            try LastBlocks.expectRight(source, mount, location: location)
        }
    }

    // MARK: The store's and the cache's files

    func path(_ pack: PackID) -> String { test.storePath + "/" + PackIndex.packKey(pack) }

    func packs(_ manifest: ViewManifest) -> [PackID] {
        manifest.devices.compactMap { if case .pack(let pack) = $0.source { pack } else { nil } }
    }

    func hotPacks(_ manifest: ViewManifest) -> [HotPackID] {
        manifest.devices.compactMap { if case .hot(let id) = $0.source { id } else { nil } }
    }

    func hotBytes() throws -> UInt64 { try views.hot.all().values.reduce(0, +) }

    /// The files behind an image, in order.
    func devicePaths(_ manifest: ViewManifest) -> [String] {
        manifest.devices.map { device in
            switch device.source {
            case .pack(let pack): path(pack)
            case .hot(let id): views.hot.path(id)
            }
        }
    }

    /// Changes one byte of a file and leaves its mtime as it was.
    static func flip(_ path: String, at offset: Int) throws {
        let status = try #require(try FileStatus.of(path: path))
        let file = try OwnedDescriptor.open(path, O_RDWR)
        var byte: UInt8 = 0
        try #require(pread(file.raw, &byte, 1, off_t(offset)) == 1)
        byte ^= 0x55
        try #require(pwrite(file.raw, &byte, 1, off_t(offset)) == 1)
        try setTime(path, status.modified)
    }

    static func setTime(_ path: String, _ time: Timestamp) throws {
        let time = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        try #require(utimensat(AT_FDCWD, path, [time, time], 0) == 0)
    }

    /// Runs a program of the machine.
    @discardableResult
    func tool(_ name: String, _ arguments: [String], code: Int32 = 0, location: SourceLocation = #_sourceLocation)
        throws -> String
    {
        let scratch = test.directory.sub("scratch")
        try Files.makeDirectories(scratch)
        let result = try SpawnedProgram(
            name, arguments.map { Array($0.utf8) }, variables: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], in: "/",
            scratch: scratch
        ).wait()
        try #require(
            result.code == code, "\(name) \(arguments): \(result.outputText)\(result.errorText)",
            sourceLocation: location)
        return result.outputText
    }
}
