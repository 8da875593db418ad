import DFSChunking
import DFSHistory
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import Glibc

/// The images of a store's versions on this host: made when they are first wanted, kept while somebody uses them and as long as
/// the cache has room.
///
/// `<cache>/views/<key>.erofs` is an image, `.json` what is known of it, `.lock` says who uses it, `.making` who makes it;
/// `<cache>/hot/packs` holds what had to be copied. All of it can be deleted at any time: what is mounted stays readable.
package final class SealedViews: Sendable {
    package struct Limits: Sendable {
        /// How many bytes may be copied into the cache for one view.
        package var copiedBytes: UInt64
        /// How many bytes of packs that this host has not checked yet may have to be read.
        package var uncheckedBytes: UInt64
        /// Files and directories.
        package var entries: UInt64
        /// Whether to wait for another process that makes the same image.
        package var waits: Bool

        package init(
            copiedBytes: UInt64 = .max, uncheckedBytes: UInt64 = .max, entries: UInt64 = .max, waits: Bool = true
        ) {
            self.waits = waits
            self.copiedBytes = copiedBytes
            self.uncheckedBytes = uncheckedBytes
            self.entries = entries
        }
    }

    let repository: Repository
    let directory: String
    let hot: HotPacks
    private let threads: Int
    private let limit: UInt64
    private let deviceLimit: Int
    private let owner = (uid: UInt32(geteuid()), gid: UInt32(getegid()))

    /// `limit`: bytes that images and hot packs may take together, beyond those in use. `deviceLimit`: how many files may be
    /// behind one image.
    package init(
        repository: Repository, limit: UInt64, threads: Int = Workers.processorCount,
        deviceLimit: Int? = nil
    ) {
        self.repository = repository
        self.limit = limit
        self.deviceLimit = min(deviceLimit ?? .max, ErofsFormat.maximumDevices)
        self.threads = threads
        directory = repository.cacheDirectory + "/views"
        hot = HotPacks(directory: repository.cacheDirectory + "/hot/packs", index: repository.index)
    }

    /// What is done so far, for a display: names taken in, bytes of packs checked.
    package struct Progress: Sendable {
        package var entries = Counter(), checkedBytes = Counter(), expectedBytes = Counter()
        package init() {}
        package init(entries: Counter, checkedBytes: Counter, expectedBytes: Counter) {
            self.entries = entries
            self.checkedBytes = checkedBytes
            self.expectedBytes = expectedBytes
        }
    }

    package func key(of subject: ViewSubject) -> String { ViewManifest.key(of: subject, owner: owner) }

    func imagePath(_ key: String) -> String { directory + "/\(key).erofs" }
    private func manifestPath(_ key: String) -> String { directory + "/\(key).json" }

    /// The image of `subject`, made if there is none. Throws `.refused` where `limits` do not allow to make it, `.corrupt` where
    /// the store is damaged.
    package func prepare(
        _ subject: ViewSubject, limits: Limits = Limits(), progress: Progress = Progress()
    ) throws(DFSError) -> SealedView {
        try Files.makeDirectories(directory, mode: 0o700)
        try OwnDirectory.check(repository.cacheDirectory)
        let key = key(of: subject)
        // Held shared by all who use the view, exclusively by whoever removes it.
        let lock = try ViewLock(directory: directory, key: key)
        try lock.take(.shared)
        let making = try ViewLock(path: directory + "/\(key).making")
        if limits.waits { try making.take(.exclusive) } else { try Self.takeSoon(making) }
        defer { withExtendedLifetime(making) {} }
        let manifest: ViewManifest
        if let known = try self.manifest(key, limits, progress) {
            manifest = known
            utimensat(AT_FDCWD, manifestPath(key), nil, 0)
        } else {
            manifest = try build(subject, key, limits, progress)
        }
        return SealedView(views: self, key: key, manifest: manifest, lock: lock)
    }

    /// As `prepare`, for whom nobody waits: nothing is done while another process makes the image, nor where making it was
    /// given up for want of room and there is no more now.
    package func prepareOnce(_ subject: ViewSubject) throws(DFSError) {
        let note = directory + "/\(key(of: subject)).refused"
        if let text = try Files.read(note, limit: 64), let known = UInt64(String(decoding: text, as: UTF8.self)),
            known >= limit
        {
            return
        }
        do throws(DFSError) { _ = try prepare(subject, limits: Limits(waits: false)) } catch {
            if error.errno == ENOSPC {
                let file = try DurableFile(temporaryDirectory: directory, mode: 0o600)
                try file.append(Array(String(limit).utf8))
                try file.replace(note)
            }
            throw error
        }
        unlink(note)
    }

    /// What is made at once is made in some tenths of a second, by others too.
    private static func takeSoon(_ making: ViewLock) throws(DFSError) {
        for _ in 0..<20 {
            if making.tryExclusive() { return }
            usleep(20_000)
        }
        throw DFSError(
            .refused, "the version is being sealed by another process", cause: "it is not waited for",
            hint: "dfs mounts", errno: EBUSY)
    }

    /// What is known of an image that can be mounted as it is.
    private func manifest(
        _ key: String, _ limits: Limits, _ progress: Progress
    ) throws(DFSError) -> ViewManifest? {
        guard let bytes = try Files.read(manifestPath(key), limit: 64 << 20),
            let manifest = (try? JSONValue.parse(bytes)).flatMap({ ViewManifest($0) }),
            let image = try? openImage(key, manifest)
        else { return nil }
        _ = image
        for case .hot(let id) in manifest.devices.map(\.source) where (try? hot.open(id)) == nil { return nil }
        // A pack that was collected since has another in its place.
        do { try checkPacks(of: manifest.devices, limits, progress) } catch {
            guard error.errno == ENOENT else { throw error }
            return nil
        }
        return manifest
    }

    /// The image's file, which only this user can have written.
    func openImage(_ key: String, _ manifest: ViewManifest) throws(DFSError) -> OwnedDescriptor {
        let file = try OwnedDescriptor.open(imagePath(key), O_RDONLY | O_NOFOLLOW)
        let status = try FileStatus.of(file)
        guard FileStamp(status) == manifest.imageStamp, status.uid == owner.uid, status.mode & 0o022 == 0 else {
            throw DFSError(
                .corrupt, "\(imagePath(key)) is not what was written", cause: "somebody has changed it",
                hint: "rm \(imagePath(key))")
        }
        return file
    }

    /// Checks the bytes of those packs that this host has not checked yet.
    private func checkPacks(
        of devices: [Devices.Device], _ limits: Limits, _ progress: Progress
    ) throws(DFSError) {
        var packs = [PackID]()
        for case .pack(let pack) in devices.map(\.source) { packs.append(pack) }
        let pending = try repository.objects.unverified(packs)
        guard !pending.isEmpty else { return }
        let unchecked = Set(pending)
        let bytes = devices.reduce(UInt64(0)) { sum, device in
            guard case .pack(let pack) = device.source, unchecked.contains(pack) else { return sum }
            return sum + UInt64(device.blocks) * UInt64(ErofsFormat.block)
        }
        guard bytes <= limits.uncheckedBytes else {
            throw Self.tooMuch("\(ByteCount(bytes)) of packs have not been checked on this host yet")
        }
        progress.expectedBytes.increment(by: Int(clamping: bytes))
        try repository.objects.verify(pending, threads: threads, bytes: progress.checkedBytes)
    }

    private static func tooMuch(_ cause: String) -> DFSError {
        DFSError(.refused, "sealing would take too long", cause: cause, hint: "dfs warm --help", errno: EFBIG)
    }

    // MARK: Making

    private func build(
        _ subject: ViewSubject, _ key: String, _ limits: Limits, _ progress: Progress
    ) throws(DFSError) -> ViewManifest {
        guard subject.tree.files <= limits.entries else { throw Self.tooMuch("it has \(subject.tree.files) files") }
        // Hot packs that are written or found again are named by no image until the end: nobody may remove them.
        let building = try ViewCollector.lock(directory)
        try building.take(.shared)
        defer { withExtendedLifetime(building) {} }
        let known = try repository.objects.knownPacks
        hot.lookAgain()
        let capacity = min(known + (try hot.all().count) + threads, deviceLimit)
        let devices = Devices(limit: capacity, reserved: threads)
        let start = ErofsFormat.deviceTableOffset + capacity * ErofsFormat.deviceSlotLength
        let image = try ImageFile(
            temporaryDirectory: directory, from: UInt64(ErofsFormat.roundedUp(start, to: ErofsFormat.block)))
        let totals = ViewTotals()
        let layouts = BoundedCache<PackID, PackLayout>(limit: 192 << 20)
        let budget = HotBudget(limit: min(limit, limits.copiedBytes))
        let writers = (0..<threads).map { _ in HotWriter(packs: hot, devices: devices, budget: budget, totals: totals) }
        let builder = ImageBuilder(
            reader: repository.reader, image: image, subject: subject, owner: owner, totals: totals,
            progress: progress.entries)
        try builder.run(
            .root(subject.tree, modified: subject.modified, mode: 0o755 & subject.rootMask),
            mappers: writers.map {
                FileMapper(reader: repository.reader, devices: devices, layouts: layouts, hot: $0, totals: totals)
            })
        for writer in writers {
            if let finished = try writer.finish() { devices.settle(finished.id, length: finished.length) }
        }
        try finish(image, devices.all, inodes: builder.inodeCount)
        try checkPacks(of: devices.all, limits, progress)
        _ = try ImageChecker.check(image.descriptor, devices: devices.all.map(\.blocks))
        try image.publish(as: imagePath(key))
        guard let stamp = try FileStamp.of(path: imagePath(key)) else {
            throw DFSError(.operational, "\(imagePath(key)) is gone", hint: "df -h \(directory)")
        }
        let manifest = ViewManifest(
            imageStamp: stamp, devices: devices.all, totals: totals, imageBytes: Int(image.length), made: Clock.now())
        let file = try DurableFile(temporaryDirectory: directory, mode: 0o600)
        try file.append(manifest.json.canonicalBytes)
        try file.replace(manifestPath(key))
        // Where others build, the last of them makes room.
        if building.tryExclusive() { try? ViewCollector(views: self).run(limit: limit) }
        return manifest
    }

    private func finish(_ image: ImageFile, _ devices: [Devices.Device], inodes: UInt64) throws(DFSError) {
        guard let blocks = UInt32(exactly: image.length / UInt64(ErofsFormat.block)) else {
            throw DFSError(.cannotServe, "a view of this version cannot be sealed", cause: "its image is too large")
        }
        var table = [UInt8]()
        for device in devices {
            let tag =
                switch device.source {
                case .pack(let pack): pack.digest.hex
                case .hot(let id): "hot:" + id.text
                }
            table += ErofsFormat.deviceSlot(tag: tag, blocks: device.blocks)
        }
        try image.write(table, at: UInt64(ErofsFormat.deviceTableOffset))
        let superblock = ErofsFormat.Superblock(
            inodes: inodes, blocks: blocks, uuid: Randomness.bytes(16), devices: devices.count)
        try image.write(superblock.encode(), at: UInt64(ErofsFormat.superblockOffset))
        try image.close()
    }
}

/// An image that can be mounted, and that is kept while this value lives.
package final class SealedView: Sendable {
    private let views: SealedViews
    package let key: String
    package let manifest: ViewManifest
    private let lock: ViewLock

    init(views: SealedViews, key: String, manifest: ViewManifest, lock: ViewLock) {
        self.views = views
        self.key = key
        self.manifest = manifest
        self.lock = lock
    }

    /// What the mount table shows as the source.
    package var imagePath: String { views.imagePath(key) }
    package var lockPath: String { ViewLock.path(directory: views.directory, key: key) }

    /// Names what would be mounted now: another when the image was made anew, or when a file behind it is another than it was.
    /// A file system that is mounted already has the files of when it was.
    package func identity() throws(DFSError) -> String {
        var bytes = Array(imagePath.utf8) + manifest.imageStamp.bytes
        for device in manifest.devices {
            switch device.source {
            case .hot(let id): bytes += try FileStamp.of(views.hot.open(id)).bytes
            case .pack(let pack): bytes += try views.repository.objects.stamp(of: pack)?.bytes ?? []
            }
        }
        return String(Digest.of(bytes).hex.prefix(12))
    }

    /// Mounts it. Every file behind it is one that this host has checked and that nobody has changed since.
    package func mount(at mountpoint: String, directIO: Bool = false) throws(DFSError) {
        let image = try views.openImage(key, manifest)
        let objects = views.repository.objects, backend = views.repository.backend
        try ErofsMount.mount(
            image: image, named: imagePath, devices: manifest.devices.count, at: mountpoint,
            options: .init(directIO: directIO)
        ) { number throws(DFSError) in
            switch self.manifest.devices[number].source {
            case .hot(let id): return try self.views.hot.open(id)
            case .pack(let pack):
                guard let file = try backend.open(PackIndex.packKey(pack)).descriptor else {
                    throw DFSError(.cannotServe, "pack \(pack) is no local file", hint: "dfs mount")
                }
                guard try objects.isVerified(pack, file) else {
                    throw DFSError(
                        .corrupt, "pack \(pack) has changed while it was about to be mapped", hint: "dfs verify --data")
                }
                return file
            }
        }
    }
}

extension DFSError {
    /// Whether an image was not made because of `SealedViews.Limits`: with others it would be.
    package var isTooMuch: Bool { code == .refused && (errno == EFBIG || errno == ENOSPC) }
}
