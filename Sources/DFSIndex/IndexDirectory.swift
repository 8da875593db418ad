import CLMDB
import DFSModel
import DFSSystem
import Glibc

/// The files of an index and how they are opened, put aside and made anew.
///
/// ```
/// open.lock      held (flock) while an index is opened or made, by one process at a time
/// env/           data.mdb and lock.mdb of LMDB, and the seal
/// aside-<hex>/   a damaged env on its way out
/// ```
/// A damaged env is renamed before it is deleted and the new one is made of new files: a process that has the old
/// one open keeps its old files until it ends.
struct IndexDirectory: Sendable {
    /// Absolute, and there.
    let path: String
    let identity: String
    let tables: [String]
    let initialMapSize: Int
    let damagedValues: Counter

    private var environmentPath: String { path + "/env" }
    private var dataPath: String { environmentPath + "/data.mdb" }

    /// Opens what is there if it is sound and of the same identity; otherwise puts it aside and makes a new one.
    /// What has the identity `bad` is put aside whatever it looks like.
    func open(replacing bad: FileIdentity? = nil) throws(DFSError) -> (Environment, isNew: Bool) {
        let lock = try takeLock()
        defer { withExtendedLifetime(lock) {} }
        sweep()
        if try FileStatus.of(path: environmentPath) != nil {
            let current = try currentIdentity()
            let isBad = bad != nil && bad == current
            if !isBad, let environment = try openExisting() { return (environment, false) }
            try putAside()
        }
        do {
            return (try create(), true)
        } catch {
            try? putAside()
            throw error
        }
    }

    /// Which data file stands under the path now.
    func currentIdentity() throws(DFSError) -> FileIdentity? {
        try FileStatus.of(path: dataPath).map { FileIdentity($0) }
    }

    // MARK: The lock and the way out

    private static let longestWait: UInt64 = 120_000_000_000

    private func takeLock() throws(DFSError) -> OwnedDescriptor {
        let file = path + "/open.lock"
        let lock: OwnedDescriptor
        do {
            lock = try OwnedDescriptor.open(file, O_RDWR | O_CREAT | O_NOFOLLOW)
        } catch { throw error.hinting("ls -ld \(path)") }
        let start = Clock.monotonic()
        while flock(lock.raw, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            guard code == EWOULDBLOCK || code == EINTR else { throw System.error(code, "cannot lock \(file)") }
            guard Clock.monotonic() - start < Self.longestWait else {
                throw DFSError(
                    .operational, "cannot open the index in \(path)",
                    cause: "another process has held \(file) for two minutes", hint: "fuser -v \(file)")
            }
            usleep(5000)
        }
        return lock
    }

    private func putAside() throws(DFSError) {
        let aside = path + "/aside-" + Randomness.hex(bytes: 8)
        do {
            try System.call("cannot put the index in \(path) aside", fault: "rename") { rename(environmentPath, aside) }
        } catch { if error.errno == ENOENT { return } else { throw error.hinting("ls -ld \(path)") } }
        // What cannot be removed now is swept by a later open.
        try? Files.removeTree(aside)
    }

    private func sweep() {
        guard let names = try? DirectoryListing.names(of: path) else { return }
        let prefix = Array("aside-".utf8)
        for name in names where name.starts(with: prefix) {
            try? Files.removeTree(path + "/" + String(decoding: name, as: UTF8.self))
        }
    }

    // MARK: LMDB's lock file

    /// LMDB makes this file by ftruncate(2) and maps it: on a full disk the first touch of a hole is a SIGBUS. So it is
    /// made here, of bytes that are written. More than LMDB needs for its readers; it takes what it finds.
    private static let lockLength = 72 << 10

    private func makeLockFile() throws(DFSError) {
        let file = environmentPath + "/lock.mdb"
        let fd = try OwnedDescriptor.open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW)
        try Files.write([UInt8](repeating: 0, count: Self.lockLength), to: fd.raw, what: file)
    }

    /// Whether the lock file is one that `makeLockFile` made. One that is missing is made: nobody has the files open.
    private func hasLockFile() throws(DFSError) -> Bool {
        guard let status = try FileStatus.of(path: environmentPath + "/lock.mdb") else {
            try makeLockFile()
            return true
        }
        return status.kind == .file && status.size == UInt64(Self.lockLength)
            && status.blocks * 512 >= UInt64(Self.lockLength)
    }

    // MARK: What is there

    /// `nil` when it is damaged, foreign, or of another identity.
    private func openExisting() throws(DFSError) -> Environment? {
        guard let found = try probe(), try hasLockFile() else { return nil }
        let size = max(initialMapSize, (Int(found.lastPage) + 1) * found.pageSize)
        guard
            let environment = try Environment.open(
                environmentPath, mapSize: size, tableCount: tables.count, damagedValues: damagedValues)
        else { return nil }
        if !found.isSealed { guard try isSound(environment) else { return nil } }
        environment.checkReaders()
        do {
            guard try adopt(environment) else { return nil }
        } catch { if error.code == .corrupt { return nil } else { throw error } }
        if !found.isSealed { environment.writeSeal() }
        return environment
    }

    /// Looks at the root pages before anything is mapped: LMDB touches them, and only them, when it opens a file.
    private func probe() throws(DFSError) -> (lastPage: UInt64, pageSize: Int, isSealed: Bool)? {
        guard let kind = try FileStatus.of(path: dataPath)?.kind, kind == .file else { return nil }
        let data = try OwnedDescriptor.open(dataPath, O_RDONLY | O_NOFOLLOW)
        let status = try FileStatus.of(data)
        guard let metas = MetaPage.both(data.raw), status.size >= UInt64(2 * metas.0.pageSize) else { return nil }
        let isSealed = Seal(directory: environmentPath)?.matches(status) ?? false
        return (max(metas.0.lastPage, metas.1.lastPage), metas.0.pageSize, isSealed)
    }

    /// Checks the newest snapshot page by page.
    private func isSound(_ environment: Environment) throws(DFSError) -> Bool {
        // Another process may commit twice between the begin and the look at the root page; then the snapshot's own
        // root is gone, and a newer snapshot is taken.
        for _ in 0..<16 {
            guard let transaction = try begin(environment, writing: false) else { return false }
            defer { mdb_txn_abort(transaction.raw) }
            let id = UInt64(mdb_txn_id(transaction.raw))
            guard let metas = MetaPage.both(environment.descriptor) else { return false }
            let meta = id & 1 == 0 ? metas.0 : metas.1
            if meta.transaction == id { return StructureCheck.passes(fd: environment.descriptor, meta: meta) }
            if meta.transaction < id { return false }
        }
        return false
    }

    /// `nil` when LMDB calls the file damaged.
    private func begin(_ environment: Environment, writing: Bool) throws(DFSError) -> Transaction? {
        for _ in 0..<16 {
            switch environment.begin(writing: writing) {
            case .success(let transaction): return transaction
            case .failure(let failure):
                if LMDB.isDamage(failure.code) { return nil }
                guard failure.code == MDB_MAP_RESIZED else {
                    throw LMDB.error(failure.code, "cannot read the index in \(path)")
                }
                try environment.setMapSize(0)
            }
        }
        return nil
    }

    /// Opens the tables and compares the identity; false when a table is missing or the identity is another.
    private func adopt(_ environment: Environment) throws(DFSError) -> Bool {
        guard let transaction = try begin(environment, writing: false) else { return false }
        var isComplete = false
        do throws(DFSError) {
            isComplete = try environment.openTables(allTables, in: transaction.raw, creating: false)
            if isComplete {
                let found = try transaction.get(Table.about, Table.identityKey)
                isComplete = found == Array(identity.utf8)
            }
        } catch {
            mdb_txn_abort(transaction.raw)
            throw error
        }
        // Committing is what makes the handles known outside the transaction.
        return mdb_txn_commit(transaction.raw) == 0 && isComplete
    }

    private var allTables: [String] { [Table.about] + tables }

    // MARK: A new one

    private func create() throws(DFSError) -> Environment {
        try Files.makeDirectories(environmentPath, mode: 0o700)
        try makeLockFile()
        let what = "cannot make an index in \(path)"
        guard
            let environment = try Environment.open(
                environmentPath, mapSize: initialMapSize, tableCount: tables.count, damagedValues: damagedValues),
            let transaction = try begin(environment, writing: true)
        else { throw DFSError(.operational, what, cause: "LMDB refuses its own file", hint: "df -h \(path)") }
        do throws(DFSError) {
            _ = try environment.openTables(allTables, in: transaction.raw, creating: true)
            try transaction.put(Table.about, Table.identityKey, Array(identity.utf8))
        } catch {
            mdb_txn_abort(transaction.raw)
            throw error
        }
        let code = mdb_txn_commit(transaction.raw)
        guard code == 0 else { throw LMDB.error(code, what).hinting("df -h \(path)") }
        environment.writeSeal()
        return environment
    }
}
