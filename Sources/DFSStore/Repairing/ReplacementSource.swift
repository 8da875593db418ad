import DFSModel

/// Where bytes may be found again. Everything it gives was checked against its digest.
package protocol ReplacementSource: Sendable {
    /// Looks for objects, by their digests and lengths; once, before they are asked for.
    func locate(_ wanted: [Digest: UInt32]) throws(DFSError)

    /// An object that was found; `nil` when there is none.
    func content(of digest: Digest) -> [UInt8]?

    /// An item's bytes as another copy of the same pack holds them.
    func stored(_ item: PackItem, of pack: PackID) -> [UInt8]?

    /// The table of a pack.
    func table(of pack: PackID) -> PackIndex?
}
