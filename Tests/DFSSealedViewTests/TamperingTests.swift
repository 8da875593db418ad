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
    /// Files behind a view that somebody has changed: the kernel would show what is in them.
    @Suite struct TamperingTests {
        private let fixture: SealFixture
        private var random = SeededGenerator(seed: 11)

        init() throws { fixture = try SealFixture() }

        private func failure(_ body: () throws -> Void) -> DFSError? {
            do {
                try body()
                return nil
            } catch { return error as? DFSError }
        }

        @Test mutating func aPackThatWasOverwritten() throws {
            try fixture.write("large", random.bytes(600_000))
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let pack = try #require(fixture.packs(view.manifest).first)
            try SealFixture.flip(fixture.path(pack), at: 300_000)
            let mounting = failure { try view.mount(at: fixture.mountpoint) }
            #expect(mounting?.code == .corrupt && mounting?.what.contains("\(pack)") == true, "\(mounting as Any)")
            let preparing = failure { _ = try fixture.prepare(version) }
            #expect(preparing?.code == .corrupt && preparing?.what.contains("\(pack)") == true, "\(preparing as Any)")
            #expect(preparing?.hint != nil)
            // Repaired, it is another file than before, and checked again.
            try SealFixture.flip(fixture.path(pack), at: 300_000)
            try fixture.expectSame(version)
        }

        /// Written long ago by another host, and damaged since.
        @Test mutating func aPackThatWasNeverRight() throws {
            try fixture.write("large", random.bytes(600_000))
            try fixture.write("text", Array(String(repeating: "compressible\n", count: 9000).utf8))
            let version = try fixture.commit()
            let manifest = try fixture.prepare(version).manifest
            for pack in fixture.packs(manifest) {
                let host = SealedViews(
                    repository: try fixture.test.reopened(cache: "host-" + pack.digest.hex), limit: .max)
                _ = try host.repository.state()
                try SealFixture.flip(fixture.path(pack), at: 100)
                let error = failure { _ = try host.prepare(fixture.subject(version)) }
                #expect(error?.code == .corrupt && error?.what.contains("\(pack)") == true, "\(error as Any)")
                #expect(!Files.exists(host.imagePath(host.key(of: fixture.subject(version)))))
                try SealFixture.flip(fixture.path(pack), at: 100)
                _ = try host.prepare(fixture.subject(version))
            }
        }

        /// A shorter file gives errors where it ends, another file other bytes.
        @Test mutating func aPackThatIsAnother() throws {
            try fixture.write("large", random.bytes(600_000))
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let path = fixture.path(try #require(fixture.packs(view.manifest).first))
            try fixture.tool("/bin/cp", ["-p", path, path + ".good"])
            for change in ["truncate -s 500000 $0", "cp -p $0.good $0.new; mv $0.new $0; printf x >> $0"] {
                try fixture.tool("/bin/sh", ["-ec", change, path])
                #expect(failure { try view.mount(at: fixture.mountpoint) }?.code == .corrupt)
                #expect(failure { _ = try fixture.prepare(version) }?.code == .corrupt)
                try fixture.tool("/bin/sh", ["-ec", "cp -p $0.good $0.new; mv $0.new $0", path])
            }
            // A copy with the same bytes is as good, once it was read.
            #expect(failure { try view.mount(at: fixture.mountpoint) }?.code == .corrupt)
            try fixture.expectSame(version)
        }

        @Test(arguments: ["image", "hot", "no image", "no hot", "manifest", "no manifest"])
        func whatTheCacheLosesIsMadeAnew(_ what: String) throws {
            try fixture.write("a", Array("a".utf8))
            try fixture.write("text", Array(String(repeating: "compressible\n", count: 9000).utf8))
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let image = fixture.views.imagePath(view.key)
            let hot = fixture.views.hot.path(try #require(fixture.hotPacks(view.manifest).first))
            let manifest = fixture.views.directory + "/\(view.key).json"
            switch what {
            case "image": try SealFixture.flip(image, at: 1152 + 5)
            case "hot": try SealFixture.flip(hot, at: 77)
            case "no image": try Files.remove(image)
            case "no hot": try Files.remove(hot)
            case "manifest": try TestFiles.write(manifest, Array(#"{"format":"dfs.view/2"}"#.utf8))
            default: try Files.remove(manifest)
            }
            if what != "manifest", what != "no manifest" {
                #expect(failure { try view.mount(at: fixture.mountpoint) } != nil)
            }
            let again = try fixture.prepare(version)
            #expect(again.manifest.imageStamp != view.manifest.imageStamp)
            try fixture.expectSame(again)
        }

        /// Others could have written what root is to mount.
        @Test func anImageOfSomebodyElse() throws {
            try fixture.write("a", Array("a".utf8))
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let image = fixture.views.imagePath(view.key)
            let manifest = view.manifest
            for change in [{ chown(image, 65534, 65534) }, { chmod(image, 0o666) }] {
                try #require(change() == 0)
                var known = manifest
                known.imageStamp = try #require(try FileStamp.of(path: image))
                #expect(failure { _ = try fixture.views.openImage(view.key, known) }?.code == .corrupt)
                try #require(chown(image, 0, 0) == 0 && chmod(image, 0o400) == 0)
            }
        }

        /// What a mounted view shows stays, and the next one is made of what stands in for the old packs.
        @Test mutating func packsThatWereCollected() throws {
            for i in 0..<60 { try fixture.write("\(i)", random.bytes(4500 + i * 10)) }
            try fixture.write("large", random.bytes(400_000))
            _ = try fixture.commit()
            for i in stride(from: 0, to: 60, by: 3) { try Files.remove(fixture.source + "/\(i)") }
            let version = try fixture.commit()
            let view = try fixture.prepare(version)
            let facts = try TreeFacts.of(fixture.source)
            try fixture.mounted(view) { mount in
                let repository = fixture.test.repository
                _ = try Removal(repository: repository, dataset: "x", version: 1, reason: "no longer needed").run(
                    by: fixture.test.signer)
                let outcome = try Collector(repository: repository, options: .init(grace: 0, compactBelow: 100))
                    .collect(
                        by: fixture.test.signer)
                #expect(outcome.written > 0 && outcome.deletedPacks > 0)
                #expect(fixture.packs(view.manifest).contains { !Files.exists(fixture.path($0)) })
                try TreeFacts.expectEqual(facts, TreeFacts.of(mount))
            }
            #expect(failure { try view.mount(at: fixture.mountpoint) } != nil)
            let again = try fixture.prepare(version)
            #expect(fixture.packs(again.manifest) != fixture.packs(view.manifest))
            try fixture.expectSame(again)
        }
    }
}
