import DFSModel
import DFSSystem

/// Where a store's objects live: a directory, later an S3 prefix.
///
/// Keys are relative paths of ASCII letters, digits, `.`, `-`, `_` and `/`. Objects are immutable once put, except
/// those under `live/`, which are not reached through this protocol. All methods may be called from any thread
/// and block. An error whose `errno` is EIO or ESTALE may be transient; `code == .corrupt` is permanent.
package protocol Backend: Sendable {
    /// For messages.
    var location: String { get }

    /// The whole object; `nil` when there is none, `.corrupt` when what stands there can be none.
    func get(_ key: String, limit: Int) throws(DFSError) -> [UInt8]?

    /// An object to read pieces of; throws ENOENT's error when there is none.
    func open(_ key: String) throws(DFSError) -> any BackendObject

    /// The length of an object; `nil` when there is none. Never trusted to prove absence to gc.
    func length(of key: String) throws(DFSError) -> UInt64?

    /// Puts an object that nobody else puts (its key holds a random part). Durable on return.
    func put(_ key: String, _ bytes: [UInt8]) throws(DFSError)

    /// A local file for content that is written piece by piece and then published.
    func begin() throws(DFSError) -> DurableFile

    /// Makes a finished file an object under `key`, which nobody else puts. Durable on return.
    func publish(_ file: DurableFile, as key: String) throws(DFSError)

    /// Puts only if nothing stands under `key`. Durable on return. `false` when other bytes stand there; when the very
    /// same bytes stand there (an answer was lost) the put counts as done.
    func putIfAbsent(_ key: String, _ bytes: [UInt8]) throws(DFSError) -> Bool

    /// Makes an object that stands durable, whoever put it.
    func settle(_ key: String) throws(DFSError)

    /// Removes an object; one that is not there is no error. Only for what no ledger entry names.
    func remove(_ key: String) throws(DFSError)

    /// Keys below `prefix` (which ends in `/` or is empty), in order. May lag behind puts of others.
    func list(_ prefix: String) throws(DFSError) -> [String]

    /// The time of the backend's own clock, in practice that of the machine that holds the data.
    func time() throws(DFSError) -> Timestamp

    /// Free bytes for this user; `nil` where the notion does not exist.
    func freeSpace() throws(DFSError) -> UInt64?
}

extension Backend {
    /// As `get`; empty when what stands there can be no object: for those who replace what is damaged.
    package func standing(_ key: String, limit: Int) throws(DFSError) -> [UInt8]? {
        do throws(DFSError) { return try get(key, limit: limit) } catch {
            guard error.code == .corrupt else { throw error }
            return []
        }
    }
}

/// One object, opened for reading pieces. Thread-safe.
package protocol BackendObject: Sendable {
    /// Fills `buffer` from `offset`. Throws `.corrupt` when the object ends before.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DFSError)

    /// A descriptor of the object's bytes where it is a local file: for what the kernel can share.
    var descriptor: OwnedDescriptor? { get }
}
