import DFSModel
import DFSSystem
import Glibc

/// Makes room in the cache of views: images used least recently go first, hot packs when no image names them.
struct ViewCollector {
    let views: SealedViews

    private struct Image {
        let key: String
        let bytes: UInt64
        let used: Timestamp
        let hot: Set<HotPackID>
    }

    private static let abandonedAfter: Int64 = 86400

    /// Held shared by whoever makes an image, exclusively by whoever makes room.
    static func lock(_ directory: String) throws(DFSError) -> ViewLock {
        try ViewLock(path: directory + "/collector.lock")
    }

    /// Brings images and hot packs below `limit` bytes, as far as they are not in use.
    func run(limit: UInt64) throws(DFSError) {
        var images = try self.images().sorted { $0.used < $1.used }
        var hot = try views.hot.all()
        var total = images.reduce(0) { $0 + $1.bytes } + hot.values.reduce(0, +)
        func removeUnnamed() {
            let named = images.reduce(into: Set<HotPackID>()) { $0.formUnion($1.hot) }
            for (id, bytes) in hot where !named.contains(id) {
                views.hot.remove(id)
                hot[id] = nil
                total -= bytes
            }
        }
        var i = 0
        while total > limit {
            removeUnnamed()
            guard total > limit, i < images.count else { break }
            let image = images[i]
            // The one that was just made is in use by whoever made it.
            guard let lock = try? ViewLock(directory: views.directory, key: image.key), lock.tryExclusive() else {
                i += 1
                continue
            }
            withExtendedLifetime(lock) {
                for ending in ["json", "erofs"] { unlink(views.directory + "/\(image.key).\(ending)") }
            }
            total -= image.bytes
            images.remove(at: i)
        }
        try removeAbandoned()
    }

    private func images() throws(DFSError) -> [Image] {
        var out = [Image]()
        for name in try DirectoryListing.names(of: views.directory) {
            let text = String(decoding: name, as: UTF8.self)
            guard text.hasSuffix(".erofs"), let image = try FileStatus.of(path: views.directory + "/" + text) else {
                continue
            }
            let key = String(text.dropLast(6)), path = views.directory + "/\(key).json"
            let bytes = (try? Files.read(path, limit: 64 << 20)) ?? nil
            let manifest = bytes.flatMap { try? JSONValue.parse($0) }.flatMap { ViewManifest($0) }
            var hot = Set<HotPackID>()
            for case .hot(let id) in (manifest?.devices ?? []).map(\.source) { hot.insert(id) }
            // One that cannot be used, of another form or of a process that died, is the first to go.
            let used = manifest == nil ? nil : try FileStatus.of(path: path)?.modified
            out.append(
                Image(key: key, bytes: image.size, used: used ?? Timestamp(seconds: 0, nanoseconds: 0), hot: hot))
        }
        return out
    }

    /// What a process that died was writing.
    private func removeAbandoned() throws(DFSError) {
        let limit = Clock.now().adding(seconds: -Self.abandonedAfter)
        for directory in [views.directory, views.hot.directory] where Files.isDirectory(directory) {
            for name in try DirectoryListing.names(of: directory) where !name.contains(0x2e) {
                let path = directory + "/" + String(decoding: name, as: UTF8.self)
                if let status = try FileStatus.of(path: path), status.modified < limit { unlink(path) }
            }
        }
    }
}
