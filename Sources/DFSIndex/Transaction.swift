import CLMDB
import DFSModel
import DFSSystem

/// One LMDB transaction and what was noticed in it. Used by one thread at a time.
final class Transaction: @unchecked Sendable {
    let raw: OpaquePointer
    // The caller of the transaction holds the environment.
    unowned let environment: Environment
    /// Something read was not what was written.
    private(set) var isDamaged = false
    /// A put did not fit the map.
    private(set) var isFull = false

    static let longestKey = 511
    static let longestValue = 1 << 30

    init(_ raw: OpaquePointer, _ environment: Environment) {
        self.raw = raw
        self.environment = environment
    }

    func forget() {
        isDamaged = false
        isFull = false
    }

    // MARK: Reading

    /// The value in the map, without its checksum; good until the next change or the end of the transaction.
    func find(_ name: String, _ key: [UInt8]) throws(DFSError) -> UnsafeRawBufferPointer? {
        let table = try environment.table(name)
        try Self.check(key: key)
        var value = MDB_val()
        var isRight = false
        let code = key.withUnsafeBytes { bytes in
            var k = MDB_val(bytes)
            let code = mdb_get(raw, table.handle, &k, &value)
            if code == 0 { isRight = Self.isRight(table, bytes, value.bytes) }
            return code
        }
        if code == MDB_NOTFOUND { return nil }
        if code == 0, isRight { return Self.content(value.bytes) }
        guard code == 0 || LMDB.isDamage(code) else { throw failure(code, "read") }
        noteDamage()
        return nil
    }

    func get(_ name: String, _ key: [UInt8]) throws(DFSError) -> [UInt8]? {
        try find(name, key).map { [UInt8]($0) }
    }

    func forEach(
        _ name: String, prefix: [UInt8], from start: [UInt8]?,
        _ body: (_ key: [UInt8], _ value: [UInt8]) throws(DFSError) -> Bool
    ) throws(DFSError) {
        let table = try environment.table(name)
        var first = prefix
        if let start, prefix.lexicographicallyPrecedes(start) { first = start }
        if !first.isEmpty { try Self.check(key: first) }
        let cursor = try openCursor(table)
        defer { mdb_cursor_close(cursor) }
        var position = seek(cursor, first)
        while position.code == 0 {
            let key = [UInt8](position.key.bytes)
            guard key.starts(with: prefix) else { return }
            let value = try checked(table, position)
            guard try body(key, value) else { return }
            position = move(cursor, MDB_NEXT)
        }
        if position.code != MDB_NOTFOUND { throw failure(position.code, "read") }
    }

    func last(_ name: String, prefix: [UInt8]) throws(DFSError) -> (key: [UInt8], value: [UInt8])? {
        let table = try environment.table(name)
        if !prefix.isEmpty { try Self.check(key: prefix) }
        let cursor = try openCursor(table)
        defer { mdb_cursor_close(cursor) }
        var position: Position
        if let after = Self.successor(prefix) {
            position = seek(cursor, after)
            position = move(cursor, position.code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV, unless: position.code)
        } else {
            position = move(cursor, MDB_LAST)
        }
        if position.code == MDB_NOTFOUND { return nil }
        guard position.code == 0 else { throw failure(position.code, "read") }
        let key = [UInt8](position.key.bytes)
        guard key.starts(with: prefix) else { return nil }
        return (key, try checked(table, position))
    }

    // MARK: Writing

    func put(_ name: String, _ key: [UInt8], _ value: [UInt8]) throws(DFSError) {
        let table = try environment.table(name)
        try Self.check(key: key)
        guard value.count <= Self.longestValue else {
            throw DFSError(.operational, "cannot put a value of \(value.count) bytes into the index")
        }
        let code = key.withUnsafeBytes { keyBytes in
            value.withUnsafeBytes { bytes in
                var k = MDB_val(keyBytes)
                var place = MDB_val(mv_size: Checksum.byteCount + bytes.count, mv_data: nil)
                let code = mdb_put(raw, table.handle, &k, &place, UInt32(MDB_RESERVE))
                guard code == 0, let target = place.mv_data else { return code }
                let sum = Checksum.of(seed: table.seed, key: keyBytes, value: bytes)
                target.storeBytes(of: sum.littleEndian, as: UInt64.self)
                UnsafeMutableRawBufferPointer(start: target + Checksum.byteCount, count: bytes.count)
                    .copyMemory(from: bytes)
                return code
            }
        }
        guard code == 0 else { throw failure(code, "write") }
    }

    /// Whether there was such a key.
    func delete(_ name: String, _ key: [UInt8]) throws(DFSError) -> Bool {
        let table = try environment.table(name)
        try Self.check(key: key)
        let code = key.withUnsafeBytes { bytes in
            var k = MDB_val(bytes)
            return mdb_del(raw, table.handle, &k, nil)
        }
        if code == MDB_NOTFOUND { return false }
        guard code == 0 else { throw failure(code, "write") }
        return true
    }

    func empty(_ table: Table) throws(DFSError) {
        let code = mdb_drop(raw, table.handle, 0)
        guard code == 0 else { throw failure(code, "empty") }
    }
}

// MARK: Parts

extension Transaction {
    private struct Position {
        var code: Int32
        var key = MDB_val()
        var value = MDB_val()
    }

    private func openCursor(_ table: Table) throws(DFSError) -> OpaquePointer {
        var cursor: OpaquePointer?
        let code = mdb_cursor_open(raw, table.handle, &cursor)
        guard code == 0, let cursor else { throw failure(code, "read") }
        return cursor
    }

    private func move(_ cursor: OpaquePointer, _ operation: MDB_cursor_op, unless code: Int32 = 0) -> Position {
        guard code == 0 || code == MDB_NOTFOUND else { return Position(code: code) }
        var position = Position(code: 0)
        position.code = mdb_cursor_get(cursor, &position.key, &position.value, operation)
        return position
    }

    /// The first key at or after `first`.
    private func seek(_ cursor: OpaquePointer, _ first: [UInt8]) -> Position {
        if first.isEmpty { return move(cursor, MDB_FIRST) }
        return first.withUnsafeBytes { bytes in
            var position = Position(code: 0, key: MDB_val(bytes))
            position.code = mdb_cursor_get(cursor, &position.key, &position.value, MDB_SET_RANGE)
            return position
        }
    }

    /// A listing with a hole would be a wrong answer, so a damaged value ends it; the index is made anew.
    private func checked(_ table: Table, _ position: Position) throws(DFSError) -> [UInt8] {
        guard Self.isRight(table, position.key.bytes, position.value.bytes) else {
            throw failure(MDB_CORRUPTED, "read")
        }
        return [UInt8](Self.content(position.value.bytes))
    }

    private static func isRight(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ stored: UnsafeRawBufferPointer
    ) -> Bool { isRight(seed: table.seed, key, stored) }

    static func isRight(seed: UInt64, _ key: UnsafeRawBufferPointer, _ stored: UnsafeRawBufferPointer) -> Bool {
        guard stored.count >= Checksum.byteCount else { return false }
        let sum = UInt64(littleEndian: stored.loadUnaligned(as: UInt64.self))
        return sum == Checksum.of(seed: seed, key: key, value: content(stored))
    }

    private static func content(_ stored: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: stored[Checksum.byteCount...])
    }

    /// The least key above all keys with the prefix; `nil` when there is none.
    private static func successor(_ prefix: [UInt8]) -> [UInt8]? {
        var out = prefix
        while let byte = out.popLast() { if byte < 255 { return out + [byte + 1] } }
        return nil
    }

    private static func check(key: [UInt8]) throws(DFSError) {
        guard !key.isEmpty, key.count <= longestKey else {
            throw DFSError(
                .operational, "an index key of \(key.count) bytes", cause: "keys have 1 to \(longestKey) bytes")
        }
    }

    private func noteDamage() {
        isDamaged = true
        environment.damagedValues.increment()
    }

    private func failure(_ code: Int32, _ verb: String) -> DFSError {
        if code == MDB_MAP_FULL { isFull = true }
        if LMDB.isDamage(code) { noteDamage() }
        return LMDB.error(code, "cannot \(verb) the index in \(environment.path)")
    }
}
