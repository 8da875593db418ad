import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSSealedView

extension SealedMounting {
    /// The cache of views keeps to its limit, and nobody loses what is in use.
    @Suite struct CollectorTests {
        private let fixture: SealFixture

        init() throws { fixture = try SealFixture() }

        private func versions(_ count: Int) throws -> [VersionRecord] {
            try (0..<count).map { i in
                try fixture.write("f", Array("version \(i)".utf8))
                return try fixture.commit()
            }
        }

        private func hasImage(_ version: VersionRecord) -> Bool {
            Files.exists(fixture.views.imagePath(fixture.views.key(of: fixture.subject(version))))
        }

        private func views(limit: UInt64) -> SealedViews {
            SealedViews(repository: fixture.test.repository, limit: limit)
        }

        @Test func whatIsInUseStays() throws {
            let versions = try versions(3)
            let views = views(limit: 1)
            let first = try views.prepare(fixture.subject(versions[0]))
            do { _ = try views.prepare(fixture.subject(versions[1])) }
            #expect(hasImage(versions[1]))
            let third = try views.prepare(fixture.subject(versions[2]))
            #expect(hasImage(versions[0]) && !hasImage(versions[1]) && hasImage(versions[2]))
            try withExtendedLifetime(third) { try fixture.mounted(first) { _ in } }
            // As it was, once it is wanted again.
            try fixture.mounted(try views.prepare(fixture.subject(versions[1]))) { mount in
                let bytes = try Files.read(mount + "/f")
                #expect(bytes == Array("version 1".utf8))
            }
        }

        @Test func theLeastRecentlyUsedGoesFirst() throws {
            let versions = try versions(4)
            var bytes = 0
            for (i, version) in versions.prefix(3).enumerated() {
                let view = try fixture.prepare(version)
                bytes = view.manifest.imageBytes
                try SealFixture.setTime(
                    fixture.views.directory + "/\(view.key).json",
                    Timestamp(seconds: 1_000_000 + Int64(i), nanoseconds: 0))
            }
            // The first is used again.
            _ = try fixture.prepare(versions[0])
            _ = try views(limit: UInt64(3 * bytes + 100)).prepare(fixture.subject(versions[3]))
            #expect(versions.map(hasImage) == [true, false, true, true])
        }

        @Test func hotPacksThatNoImageNames() throws {
            let text = (0..<2).map { i in Array(String(repeating: "compressible \(i)\n", count: 9000).utf8) }
            try fixture.write("f", text[0])
            let one = try fixture.commit()
            try fixture.write("f", text[1])
            let two = try fixture.commit()
            let first = try fixture.prepare(one).manifest
            #expect(fixture.hotPacks(first).count == 1)
            let second = try views(limit: UInt64(text[1].count + 5000)).prepare(fixture.subject(two))
            #expect(!hasImage(one) && hasImage(two))
            #expect(try Set(fixture.views.hot.all().keys) == Set(fixture.hotPacks(second.manifest)))
            try fixture.expectSame(second)
        }

        /// A view that is being made has hot packs that no image names yet.
        @Test func nothingGoesWhileOthersBuild() throws {
            let versions = try versions(2)
            _ = try fixture.prepare(versions[0])
            let other = try ViewCollector.lock(fixture.views.directory)
            try other.take(.shared)
            try withExtendedLifetime(other) {
                _ = try views(limit: 1).prepare(fixture.subject(versions[1]))
                #expect(hasImage(versions[0]) && hasImage(versions[1]))
            }
        }

        @Test func abandonedTemporaries() throws {
            try fixture.write("text", Array(String(repeating: "compressible\n", count: 9000).utf8))
            let version = try fixture.commit()
            _ = try fixture.prepare(version)
            let old = Clock.now().adding(seconds: -2 * 86400)
            for directory in [fixture.views.directory, fixture.views.hot.directory] {
                for name in ["0123456789abcdef01234567", "fresh"] {
                    try TestFiles.write(directory + "/" + name, [1])
                }
                for name in try DirectoryListing.names(of: directory) where name != Array("fresh".utf8) {
                    try SealFixture.setTime(directory + "/" + String(decoding: name, as: UTF8.self), old)
                }
            }
            try ViewCollector(views: fixture.views).run(limit: .max)
            for directory in [fixture.views.directory, fixture.views.hot.directory] {
                let names = try DirectoryListing.names(of: directory).map { String(decoding: $0, as: UTF8.self) }
                #expect(names.contains("fresh") && !names.contains("0123456789abcdef01234567"))
                #expect(names.contains { $0.hasSuffix(".erofs") || $0.hasSuffix(".hot") })
            }
        }
    }

    /// Caches on file systems on which the kernel mounts no image.
    @Suite struct PlaceTests {
        private let fixture: SealFixture

        init() throws { fixture = try SealFixture() }

        @Test(arguments: [
            "mount -t tmpfs dfs-test $0/cache2",
            """
            mkdir $0/upper; mount -t tmpfs dfs-test $0/upper; mkdir $0/upper/u $0/upper/w $0/lower
            mount -t overlay -o lowerdir=$0/lower,upperdir=$0/upper/u,workdir=$0/upper/w dfs-test $0/cache2
            """,
        ]) func theErrorSaysWhatHelps(_ script: String) throws {
            try fixture.write("a", Array("a".utf8))
            let version = try fixture.commit()
            let directory = fixture.test.directory
            try Files.makeDirectories(directory.sub("cache2"))
            defer {
                for name in ["cache2", "upper"] { umount2(directory.sub(name), Int32(MNT_DETACH)) }
            }
            try fixture.tool("/bin/sh", ["-ec", script, directory.path])
            let views = SealedViews(repository: try fixture.test.reopened(cache: "cache2"), limit: .max)
            _ = try views.repository.state()
            let view = try views.prepare(fixture.subject(version))
            let error = #expect(throws: DFSError.self) { try view.mount(at: fixture.mountpoint) }
            #expect(error?.code == .cannotServe && error?.cause?.contains("file system") == true, "\(error as Any)")
            #expect(error?.hint?.contains("XDG_CACHE_HOME=") == true, "\(error as Any)")
        }
    }
}
