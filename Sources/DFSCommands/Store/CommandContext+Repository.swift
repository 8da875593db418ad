import DFSHistory
import DFSLedger
import DFSModel
import DFSSystem
import Glibc

extension CommandContext {
    /// Whether there is a store to open; one that is named but missing is for `repository` to report.
    func storeExists() throws(DFSError) -> Bool {
        let store = try storeLocation()
        return !store.isDefault || Files.exists(store.location + "/dfs-store.json")
    }

    /// Opens the store that the configuration names. The default store is made when `creating` and it is not there yet. A job
    /// to which something is denied may not, unless `isStep`: what it then calls sees the same view.
    func repository(
        creating: Bool = false, cacheBytes: Int = 64 << 20, isStep: Bool = false
    ) throws(DFSError) -> Repository {
        let store = try storeLocation()
        guard !store.isRemote else {
            throw DFSError(
                .operational, "cannot open \(store.location)", cause: "this version keeps stores in directories",
                hint: "dfs --store DIRECTORY …")
        }
        if store.isDefault, !Files.exists(store.location + "/dfs-store.json") {
            guard creating else {
                throw DFSError(
                    .noStore, "there is no store yet", cause: "nothing names one, and \(store.location) is not there",
                    hint: "dfs init")
            }
            try Repository.create(at: store.location, signer: try signer())
            output.say("made a store in \(store.location)")
        }
        let repository = try Repository.open(
            at: store.location, cacheRoot: try directories.cache(), cacheBytes: cacheBytes)
        if !isStep { try AttachedRun.current(environment)?.checkDenials(repository) }
        return repository
    }

    /// The user's key; made on first use.
    func signer() throws(DFSError) -> any Signer {
        let path = try directories.keyFile()
        try Files.makeDirectories(Files.parent(path), mode: 0o700)
        return try KeyFile.load(orCreateAt: path, agentSocket: environment["SSH_AUTH_SOCK"])
    }

    /// Resolves references in what the ledger says now. `latest` among runs means the user's own unless `allUsers`.
    func resolver(_ repository: Repository, allUsers: Bool = false) throws(DFSError) -> Resolver {
        let key = allUsers ? nil : try? KeyFile.publicKey(at: try directories.keyFile())?.id
        return Resolver(repository: repository, state: try repository.state(), now: clock(), ownKey: key)
    }

    /// Names of this host and user: personal, so they go into salted texts only.
    func identity() -> [String: JSONValue] {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, 255)
        let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // From the user database, not from USER: what a record says of a person should not be anybody's to type.
        return ["host": .string(host), "user": .string(Account.name ?? "uid \(geteuid())")]
    }
}
