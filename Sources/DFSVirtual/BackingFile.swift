import DFSSystem

/// A local file whose bytes, from the first to the last, are those of a stored file: the kernel may read it instead.
package struct BackingFile: Sendable {
    package let descriptor: OwnedDescriptor
    package let path: String
    /// Kept as long as it is read: what keeps the file where it is.
    private let hold: (any Sendable)?

    package init(descriptor: OwnedDescriptor, path: String, hold: (any Sendable)? = nil) {
        self.descriptor = descriptor
        self.path = path
        self.hold = hold
    }
}
