import DFSModel

/// A snapshot of the index, for the time of `Index.read`.
package struct ReadTransaction: ~Copyable {
    let transaction: Transaction

    /// The value; `nil` when there is none or when it is damaged. Keys have 1 to 511 bytes.
    package borrowing func get(_ table: String, _ key: [UInt8]) throws(DFSError) -> [UInt8]? {
        try transaction.get(table, key)
    }

    /// Lends the value in place; it is gone when `body` returns.
    package borrowing func withValue<R>(
        _ table: String, _ key: [UInt8], _ body: (UnsafeRawBufferPointer?) throws(DFSError) -> R
    ) throws(DFSError) -> R {
        try body(transaction.find(table, key))
    }

    /// Calls `body` for the keys that begin with `prefix`, in the order of their bytes, beginning at the first that is
    /// not below `start`, until it returns false.
    package borrowing func forEach(
        _ table: String, prefix: [UInt8], from start: [UInt8]? = nil,
        _ body: (_ key: [UInt8], _ value: [UInt8]) throws(DFSError) -> Bool
    ) throws(DFSError) {
        try transaction.forEach(table, prefix: prefix, from: start, body)
    }

    /// The greatest key that begins with `prefix`.
    package borrowing func last(
        _ table: String, prefix: [UInt8]
    ) throws(DFSError) -> (key: [UInt8], value: [UInt8])? {
        try transaction.last(table, prefix: prefix)
    }
}

/// A change of the index, for the time of `Index.write`: all of it happens, or nothing.
package struct WriteTransaction: ~Copyable {
    let transaction: Transaction

    /// The value; `nil` when there is none or when it is damaged. Keys have 1 to 511 bytes.
    package borrowing func get(_ table: String, _ key: [UInt8]) throws(DFSError) -> [UInt8]? {
        try transaction.get(table, key)
    }

    /// Lends the value in place; `body` must not change the index.
    package borrowing func withValue<R>(
        _ table: String, _ key: [UInt8], _ body: (UnsafeRawBufferPointer?) throws(DFSError) -> R
    ) throws(DFSError) -> R {
        try body(transaction.find(table, key))
    }

    /// As in `ReadTransaction`. `body` may delete the key it is given, and put others.
    package borrowing func forEach(
        _ table: String, prefix: [UInt8], from start: [UInt8]? = nil,
        _ body: (_ key: [UInt8], _ value: [UInt8]) throws(DFSError) -> Bool
    ) throws(DFSError) {
        try transaction.forEach(table, prefix: prefix, from: start, body)
    }

    /// The greatest key that begins with `prefix`.
    package borrowing func last(
        _ table: String, prefix: [UInt8]
    ) throws(DFSError) -> (key: [UInt8], value: [UInt8])? {
        try transaction.last(table, prefix: prefix)
    }

    /// Puts or replaces; values have at most 1 GiB. Many keys go in fastest in the order of their bytes.
    package borrowing func put(_ table: String, _ key: [UInt8], _ value: [UInt8]) throws(DFSError) {
        try transaction.put(table, key, value)
    }

    /// Returns whether there was such a key.
    @discardableResult
    package borrowing func delete(_ table: String, _ key: [UInt8]) throws(DFSError) -> Bool {
        try transaction.delete(table, key)
    }

    /// Deletes all keys of a table.
    package borrowing func empty(_ table: String) throws(DFSError) {
        try transaction.empty(transaction.environment.table(table))
    }
}
