import DFSChunking
import DFSModel
import DFSRemote
import DFSSystem

/// The key under which a store keeps the hashes of what it does not record: 32 random bytes, made by the first run.
///
/// Whoever reads the store can read it, and could guess short values with it; without the store the hashes tell nothing. It is
/// named by no ledger entry, so that it is in no export of the ledger.
package struct EnvironmentKey: Sendable, Equatable {
    static let place = "keys/environment"
    private static let length = 32

    private let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The store's key; made when there is none.
    package static func load(in backend: some Backend) throws(DFSError) -> EnvironmentKey {
        if let key = try read(backend) { return key }
        let fresh = Randomness.bytes(length)
        if try backend.putIfAbsent(place, fresh) { return EnvironmentKey(bytes: fresh) }
        if let key = try read(backend) { return key }
        throw DFSError(
            .operational, "cannot make \(backend.location)/\(place)", cause: "it came and went", hint: "dfs doctor")
    }

    private static func read(_ backend: some Backend) throws(DFSError) -> EnvironmentKey? {
        guard let bytes = try backend.get(place, limit: 1024) else { return nil }
        guard bytes.count == length else {
            throw DFSError(
                .corrupt, "\(backend.location)/\(place) is damaged",
                cause: "\(bytes.count) bytes in place of \(length); values can no longer be compared with earlier ones",
                hint: "rm \(backend.location)/\(place)")
        }
        return EnvironmentKey(bytes: bytes)
    }

    /// A hash of `value` that is worth nothing without the key. `purpose` keeps apart what must not be compared: that two
    /// variables hold the same is not told.
    package func authenticate(_ purpose: String, _ value: [UInt8]) -> Digest {
        Digest.authenticating(Array("dfs.environment/1\0\(purpose)\0".utf8) + value, key: bytes)
    }
}
