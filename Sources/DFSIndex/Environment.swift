import CLMDB
import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Which file an environment has open: a new one under the same path has another inode.
struct FileIdentity: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(_ status: FileStatus) {
        device = status.device
        inode = status.inode
    }
}

/// An open LMDB environment. `TransactionGate` keeps transactions and changes of the map apart.
///
/// Flags: MDB_NOTLS ties a reader slot to the transaction, so that any thread may use it. MDB_NOMETASYNC fsyncs the data
/// pages of a commit but not its root page: after a power cut the file is always whole, and the last transactions may be
/// missing. That is right for what can be derived again, and halves the cost of a commit. Never MDB_NOSYNC or MDB_WRITEMAP: after
/// a power cut the file would be unreadable, or worse, readable.
final class Environment: @unchecked Sendable {
    /// The directory of data.mdb and lock.mdb.
    let path: String
    let identity: FileIdentity
    let damagedValues: Counter
    let raw: OpaquePointer
    // Set once by `openTables`, before any other thread knows of the environment.
    private var tables: [Table] = []
    // Reset read transactions, ready to be renewed; their slots pin no pages.
    private let idle = Mutex<[Transaction]>([])
    private let lastReaderCheck = Atomic<UInt64>(0)
    private let seal: Seal?

    static let smallestMap = 1 << 20
    static let largestMap = 1 << 44
    private static let flags = UInt32(MDB_NOTLS | MDB_NOMETASYNC)

    /// Opens, or creates when there is no data.mdb. `nil` when LMDB says that the files are not its own.
    static func open(
        _ path: String, mapSize: Int, tableCount: Int, damagedValues: Counter
    ) throws(DFSError) -> Environment? {
        let what = "cannot open the index in \(path)"
        var made: OpaquePointer?
        var code = EINTR
        // LMDB calls again where a write was interrupted, not where a read was.
        while code == EINTR {
            mdb_env_close(made)
            code = mdb_env_create(&made)
            guard code == 0 else { throw LMDB.error(code, what) }
            mdb_env_set_mapsize(made, mapSize)
            mdb_env_set_maxdbs(made, UInt32(tableCount + 1))
            mdb_env_set_maxreaders(made, 1022)
            code = mdb_env_open(made, path, flags, 0o600)
        }
        guard code == 0, let raw = made else {
            mdb_env_close(made)
            if LMDB.isDamage(code) && code != EIO { return nil }
            throw LMDB.error(code, what).hinting("ls -ld \(Files.parent(path))")
        }
        var fd: Int32 = -1
        var s = stat()
        guard mdb_env_get_fd(raw, &fd) == 0, fstat(fd, &s) == 0 else {
            mdb_env_close(raw)
            throw System.error(errno, what)
        }
        // LMDB leaves this one open across exec.
        _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
        return Environment(raw, path: path, fd: fd, status: FileStatus(s), damagedValues)
    }

    private init(_ raw: OpaquePointer, path: String, fd: Int32, status: FileStatus, _ damagedValues: Counter) {
        self.raw = raw
        self.path = path
        self.damagedValues = damagedValues
        descriptor = fd
        identity = FileIdentity(status)
        seal = Seal(directory: path)
    }

    /// data.mdb, owned by LMDB.
    let descriptor: Int32

    deinit {
        idle.withLock { transactions in
            for transaction in transactions { mdb_txn_abort(transaction.raw) }
            transactions = []
        }
        mdb_env_close(raw)
    }

    // MARK: Tables

    func table(_ name: String) throws(DFSError) -> Table {
        for table in tables where table.name == name { return table }
        throw DFSError(.operational, "the index has no table \(name)", cause: "it was not opened with one")
    }

    /// Opens those that are there; with `creating` (then `transaction` is one that writes) makes the others.
    /// Returns whether all are open.
    func openTables(_ names: [String], in transaction: OpaquePointer, creating: Bool) throws(DFSError) -> Bool {
        var opened: [Table] = []
        for name in names {
            var handle: MDB_dbi = 0
            let code = mdb_dbi_open(transaction, name, creating ? UInt32(MDB_CREATE) : 0, &handle)
            if code == MDB_NOTFOUND { return false }
            guard code == 0 else { throw LMDB.error(code, "cannot open the index table \(name)") }
            opened.append(Table(name: name, handle: handle, seed: Checksum.seed(name.utf8)))
        }
        tables = opened
        return true
    }

    /// The tables that callers named.
    var contentTables: [Table] { tables.filter { $0.name != Table.about } }

    // MARK: Transactions

    /// Begins one; `.failure` is LMDB's code.
    func begin(writing: Bool) -> Result<Transaction, LMDBCode> {
        if !writing, let transaction = idle.withLock({ $0.popLast() }) {
            let code = mdb_txn_renew(transaction.raw)
            if code == 0 { return .success(transaction) }
            mdb_txn_abort(transaction.raw)
            return .failure(LMDBCode(code))
        }
        var raw: OpaquePointer?
        let flags = writing ? 0 : UInt32(MDB_RDONLY)
        var code = mdb_txn_begin(self.raw, nil, flags, &raw)
        if code == MDB_READERS_FULL, checkReaders() > 0 { code = mdb_txn_begin(self.raw, nil, flags, &raw) }
        guard code == 0, let raw else { return .failure(LMDBCode(code)) }
        return .success(Transaction(raw, self))
    }

    /// Ends a read transaction and keeps it for the next.
    func end(reading transaction: Transaction) {
        mdb_txn_reset(transaction.raw)
        transaction.forget()
        idle.withLock { $0.append(transaction) }
    }

    /// Frees the slots of readers whose process is gone: their pages could never be used again. Returns how many.
    @discardableResult
    func checkReaders() -> Int32 {
        lastReaderCheck.store(Clock.monotonic(), ordering: .relaxed)
        var dead: Int32 = 0
        mdb_reader_check(raw, &dead)
        return dead
    }

    /// `checkReaders` when the last was a minute ago.
    func checkReadersNowAndThen() {
        if Clock.monotonic() &- lastReaderCheck.load(ordering: .relaxed) > 60_000_000_000 { checkReaders() }
    }

    // MARK: The map

    var mapSize: Int {
        var info = MDB_envinfo()
        mdb_env_info(raw, &info)
        return info.me_mapsize
    }

    /// Only while no transaction of this process is open. 0 takes the size another process gave the file.
    func setMapSize(_ size: Int) throws(DFSError) {
        let code = mdb_env_set_mapsize(raw, size)
        guard code == 0 else { throw LMDB.error(code, "cannot map \(size) bytes of the index in \(path)") }
    }

    // MARK: The seal

    /// Notes that what is in data.mdb now was written by LMDB or has been checked.
    func writeSeal() {
        var s = stat()
        guard fstat(descriptor, &s) == 0 else { return }
        seal?.write(FileStatus(s))
    }
}

/// A return code of LMDB as an error.
struct LMDBCode: Error {
    let code: Int32
    init(_ code: Int32) { self.code = code }
}
