import CLMDB
import DFSModel
import DFSSystem
import Synchronization

/// A host-local key-value index in one LMDB environment: a derived cache that is never trusted and may be deleted at
/// any time. That a key is not there proves nothing.
///
/// Any number of threads and processes may use an index at once. Readers see a snapshot and wait for nobody; writers
/// take turns across processes. A process that dies inside a transaction blocks nobody. Not for use across fork(2).
///
/// Whatever is found to be damaged, at open or later, is thrown away and replaced by an empty index, and the
/// transaction that found it runs again on that: damage costs time and never changes an answer. The one thing that
/// is not noticed is a disk that returns damaged bytes, in the same boot, of a page that was sound when it was checked, if they
/// are part of LMDB's own structure.
package final class Index: Sendable {
    private let directory: IndexDirectory
    private let gate = TransactionGate()
    // `gate` owns it: read inside a transaction, changed while there is none.
    nonisolated(unsafe) private var environment: Environment?
    private let rebuilt: Atomic<Bool>
    private let superseded = Atomic<Bool>(false)
    let token: UInt64

    private static let tokens = Atomic<UInt64>(0)
    private static let firstMapSize = 256 << 20
    private static let mostRepetitions = 64

    /// Opens or creates.
    ///
    /// `identity` (store id and schema) is kept inside; an index that is damaged, truncated, foreign, of another
    /// version or of another identity is deleted and made anew. `tables` is the fixed list of table names. The same
    /// directory gives the same `Index` while one is alive in this process.
    ///
    /// Throws `.refused` on network and FUSE file systems (choose another directory), `.operational` when the
    /// directory cannot be written.
    package static func open(directory: String, identity: String, tables: [String]) throws(DFSError) -> Index {
        try open(directory: directory, identity: identity, tables: tables, mapSize: firstMapSize)
    }

    static func open(
        directory: String, identity: String, tables: [String], mapSize: Int
    ) throws(DFSError) -> Index {
        for name in tables where name.hasPrefix("_") || name.isEmpty || name.utf8.contains(0) {
            throw DFSError(.operational, "an index cannot have a table named \(NameText.display(Array(name.utf8)))")
        }
        do {
            try Files.makeDirectories(directory, mode: 0o700)
        } catch { throw error.hinting("ls -ld \(Files.parent(directory))") }
        if let kind = try FileSystemKind.network(directory) {
            throw DFSError(
                .refused, "no index in \(directory)",
                cause: "it is on \(kind), where memory maps and locks do not reach all hosts",
                hint: "df -T \(directory)")
        }
        guard let path = Files.resolved(directory) else {
            throw DFSError(.operational, "cannot open the index in \(directory)", cause: "it is not there")
        }
        let place = IndexDirectory(
            path: path, identity: identity, tables: tables, initialMapSize: max(mapSize, Environment.smallestMap),
            damagedValues: Counter())
        return try IndexRegistry.index(place)
    }

    /// Called by the registry alone, which makes sure that no file is opened twice in a process.
    init(opening place: IndexDirectory, replacing bad: FileIdentity?) throws(DFSError) {
        let (environment, isNew) = try place.open(replacing: bad)
        directory = place
        self.environment = environment
        rebuilt = Atomic(isNew)
        token = Self.tokens.wrappingAdd(1, ordering: .relaxed).newValue
    }

    deinit {
        IndexRegistry.close(path: directory.path, token: token) { environment = nil }
    }

    /// Whether this index began empty: made by this `open`, or made anew since because of damage.
    package var wasRebuilt: Bool { rebuilt.load(ordering: .acquiring) }

    /// How many values were found damaged since the open.
    package var damagedValues: Int { directory.damagedValues.current }

    /// Runs `body` on a snapshot. It may run again on an emptied index when it met damage, so it must not keep what an
    /// earlier run found. A thread may have one transaction of an index at a time.
    package func read<R>(_ body: (borrowing ReadTransaction) throws(DFSError) -> R) throws(DFSError) -> R {
        try repeating { environment throws(DFSError) in try self.attemptRead(environment, body) }
    }

    /// Runs `body` in a transaction that is committed when it returns and undone when it throws. It may run again: on
    /// a larger map when it was full, on an emptied index when it met damage.
    package func write<R>(_ body: (borrowing WriteTransaction) throws(DFSError) -> R) throws(DFSError) -> R {
        try repeating { environment throws(DFSError) in
            try self.attemptWrite(environment) { transaction throws(DFSError) in
                try body(WriteTransaction(transaction: transaction))
            }
        }
    }

    /// Deletes everything, for all processes that have the index open.
    package func discard() throws(DFSError) {
        do throws(DFSError) {
            try repeating { environment throws(DFSError) in
                try self.attemptWrite(environment) { transaction throws(DFSError) in
                    for table in environment.contentTables { try transaction.empty(table) }
                }
            }
        } catch {
            let bad = gate.peek { environment }
            guard let bad else { throw error }
            try replace(bad)
        }
    }

    // MARK: One attempt

    private enum Outcome<R> {
        case done(R)
        case damaged(DFSError)
        /// The map was of this size.
        case full(Int, DFSError)
        case resized
    }

    private func attemptRead<R>(
        _ environment: Environment, _ body: (borrowing ReadTransaction) throws(DFSError) -> R
    ) throws(DFSError) -> Outcome<R> {
        let transaction: Transaction
        switch environment.begin(writing: false) {
        case .success(let begun): transaction = begun
        case .failure(let failure): return try Self.outcome(failure, environment)
        }
        defer { environment.end(reading: transaction) }
        do throws(DFSError) {
            let result = try body(ReadTransaction(transaction: transaction))
            return transaction.isDamaged ? .damaged(Self.damage(environment)) : .done(result)
        } catch {
            if transaction.isDamaged { return .damaged(error) }
            throw error
        }
    }

    private func attemptWrite<R>(
        _ environment: Environment, _ body: (Transaction) throws(DFSError) -> R
    ) throws(DFSError) -> Outcome<R> {
        environment.checkReadersNowAndThen()
        let transaction: Transaction
        switch environment.begin(writing: true) {
        case .success(let begun): transaction = begun
        case .failure(let failure): return try Self.outcome(failure, environment)
        }
        let result: R
        do throws(DFSError) {
            result = try body(transaction)
        } catch {
            mdb_txn_abort(transaction.raw)
            if transaction.isFull { return .full(environment.mapSize, error) }
            if transaction.isDamaged { return .damaged(error) }
            throw error
        }
        if transaction.isFull || transaction.isDamaged {
            mdb_txn_abort(transaction.raw)
            let error = Self.damage(environment)
            return transaction.isFull ? .full(environment.mapSize, error) : .damaged(error)
        }
        let code = mdb_txn_commit(transaction.raw)
        guard code == 0 else { return try Self.outcome(LMDBCode(code), environment) }
        environment.writeSeal()
        return .done(result)
    }

    private static func outcome<R>(_ failure: LMDBCode, _ environment: Environment) throws(DFSError) -> Outcome<R> {
        let error = LMDB.error(failure.code, "cannot use the index in \(environment.path)")
        switch failure.code {
        case MDB_MAP_RESIZED: return .resized
        case MDB_MAP_FULL: return .full(environment.mapSize, error)
        default:
            if LMDB.isDamage(failure.code) { return .damaged(error) }
            throw error
        }
    }

    private static func damage(_ environment: Environment) -> DFSError {
        DFSError(.corrupt, "the index in \(environment.path) is damaged", hint: "rm -r \(environment.path)")
    }

    // MARK: Repetition

    private func repeating<R>(
        _ attempt: (Environment) throws(DFSError) -> Outcome<R>
    ) throws(DFSError) -> R {
        var replacements = 0
        var last: DFSError?
        for _ in 0..<Self.mostRepetitions {
            let (used, outcome) = try inside { environment throws(DFSError) in (environment, try attempt(environment)) }
            switch outcome {
            case .done(let result): return result
            case .resized: try gate.alone { () throws(DFSError) in try used.setMapSize(0) }
            case .full(let size, let error):
                last = error
                try grow(used, from: size)
            case .damaged(let error):
                last = error
                replacements += 1
                guard replacements <= 2 else { throw error }
                try replace(used)
            }
        }
        throw last ?? DFSError(.operational, "cannot use the index in \(directory.path)")
    }

    private func inside<R>(_ body: (Environment) throws(DFSError) -> R) throws(DFSError) -> R {
        try gate.enter()
        defer { gate.leave() }
        guard let environment else { throw DFSError(.operational, "the index in \(directory.path) is closed") }
        return try body(environment)
    }

    private func grow(_ used: Environment, from size: Int) throws(DFSError) {
        try gate.alone { () throws(DFSError) in
            // Another thread may have grown it already.
            guard used.mapSize == size else { return }
            guard size < Environment.largestMap else {
                throw DFSError(.operational, "the index in \(used.path) is full", cause: "\(size) bytes")
            }
            try used.setMapSize(size * 2)
        }
    }

    /// Puts the files of `bad` aside and opens new ones, or those that another process has put there meanwhile.
    private func replace(_ bad: Environment) throws(DFSError) {
        try gate.alone { () throws(DFSError) in
            guard environment === bad else { return }
            guard !superseded.load(ordering: .acquiring) else {
                throw DFSError(.corrupt, "the index in \(bad.path) is damaged", cause: "another has taken its place")
            }
            let (fresh, isNew) = try directory.open(replacing: bad.identity)
            environment = fresh
            if isNew { rebuilt.store(true, ordering: .releasing) }
        }
    }
}

// MARK: For the registry

extension Index {
    var path: String { directory.path }

    /// Whether this is what an open with these arguments would give.
    func serves(_ place: IndexDirectory) -> Bool {
        guard place.identity == directory.identity, place.tables.allSatisfy(directory.tables.contains) else {
            return false
        }
        let mine = gate.peek { environment?.identity }
        return mine != nil && mine == (try? directory.currentIdentity())
    }

    /// Another `Index` has the directory from now on; this one keeps its files and makes no new ones.
    /// Returns which they are: they must not be opened again while this one lives.
    func retire() -> FileIdentity? {
        superseded.store(true, ordering: .releasing)
        return gate.peek { environment?.identity }
    }
}
