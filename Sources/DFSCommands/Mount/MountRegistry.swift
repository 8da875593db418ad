import DFSChunking
import DFSFuse
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// Which process serves which mount: one small file each, in the user's runtime directory.
struct MountRegistry: Sendable {
    let directory: String

    struct Record: Sendable {
        let mountpoint: String
        let store: String
        let server: ProcessIdentity
        let started: Timestamp
        /// As it was chosen; what became of it is in the mount's statistics.
        let serve: String
        let why: String
        let log: String?
        /// Of a sealed view: where its file system is mounted.
        var base: String?

        var isSealed: Bool { base != nil }
    }

    private func path(_ mountpoint: String, _ ending: String = ".json") -> String {
        directory + "/" + Digest.of(Array(mountpoint.utf8)).hex.prefix(16) + ending
    }

    func supervisionPath(_ mountpoint: String) -> String { path(mountpoint, ".supervisor") }

    /// Registers this process as the server of a mount.
    func add(_ request: ServeRequest, _ serving: Serving) throws(DFSError) {
        try write(
            request.mountpoint,
            [
                "mountpoint": .string(request.mountpoint), "store": .string(request.store),
                "server": try ProcessIdentity.own().json, "started": .string(Clock.now().description),
                "serve": .string(serving.mode.rawValue), "why": .string(serving.why),
                "log": request.log.map { .string($0) } ?? .null,
            ])
    }

    /// Registers a sealed view, which no process serves. `base`: where its file system is mounted.
    func addSealed(_ mountpoint: String, store: String, base: String) throws(DFSError) {
        try write(
            mountpoint,
            [
                "mountpoint": .string(mountpoint), "store": .string(store), "server": try ProcessIdentity.own().json,
                "started": .string(Clock.now().description), "serve": "sealed",
                "why": "asked for: one version, read by the kernel", "base": .string(base),
            ])
    }

    private func write(_ mountpoint: String, _ json: JSONValue) throws(DFSError) {
        try Files.makeDirectories(directory, mode: 0o700)
        let file = try DurableFile(temporaryDirectory: directory, mode: 0o600)
        try file.append(json.canonicalBytes)
        try file.replace(path(mountpoint))
    }

    func remove(_ mountpoint: String) {
        unlink(path(mountpoint))
        unlink(supervisionPath(mountpoint))
    }

    /// Removes what this process has noted: another mount at the same place may be there meanwhile.
    func removeOwn(_ mountpoint: String) {
        if record(mountpoint)?.server.pid == getpid() { remove(mountpoint) }
    }

    func record(_ mountpoint: String) -> Record? { read(path(mountpoint)) }

    func all() -> [Record] {
        guard let names = try? DirectoryListing.names(of: directory) else { return [] }
        return names.compactMap { name in
            let text = String(decoding: name, as: UTF8.self)
            return text.hasSuffix(".json") ? read(directory + "/" + text) : nil
        }
    }

    private func read(_ path: String) -> Record? {
        guard let bytes = try? Files.read(path, limit: 1 << 16), let json = try? JSONValue.parse(bytes),
            let mountpoint = json["mountpoint"]?.string, let store = json["store"]?.string,
            let server = json["server"].flatMap({ ProcessIdentity(json: $0) }),
            let started = json["started"]?.string.flatMap({ Timestamp(stored: $0) })
        else { return nil }
        return Record(
            mountpoint: mountpoint, store: store, server: server, started: started,
            serve: json["serve"]?.string ?? "stateless", why: json["why"]?.string ?? "", log: json["log"]?.string,
            base: json["base"]?.string)
    }
}

extension CommandContext {
    func mountRegistry() throws(DFSError) -> MountRegistry {
        MountRegistry(directory: try directories.runtime() + "/mounts")
    }

    /// The mountpoint that was given, or the default one.
    func mountpoint(_ path: String?) throws(DFSError) -> String {
        if let path { return MountTable.canonical(try absolute(path)) }
        return MountTable.canonical(try defaultMountpoint())
    }

    /// `/deepops` where it may be mounted on (root makes it), else `~/deepops`, which is made.
    func defaultMountpoint(shared: String = "/deepops") throws(DFSError) -> String {
        // Asked of the table: a mount whose server is dead does not look like a directory.
        if let mount = try MountTable.mount(at: shared), mount.isOurs, mount.options.contains("user_id=\(geteuid())") {
            return shared
        }
        if geteuid() == 0, !Files.exists(shared) { mkdir(shared, 0o755) }
        if Files.isDirectory(shared), access(shared, W_OK) == 0 { return shared }
        guard let home = environment.home else {
            throw DFSError(.usage, "there is no default mountpoint", cause: "HOME is not set", hint: "dfs mount PATH")
        }
        try Files.makeDirectories(home + "/deepops", mode: 0o755)
        return home + "/deepops"
    }
}
