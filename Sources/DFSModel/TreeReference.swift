/// A stored tree, as entries and records name it.
package struct TreeReference: Hashable, Sendable {
    /// The identity that users see.
    package let content: ContentDigest
    /// The root node.
    package let tree: ObjectAddress
    /// Regular files and symlinks below.
    package let files: UInt64
    /// Sum of the sizes of regular files below.
    package let bytes: UInt64

    package init(content: ContentDigest, tree: ObjectAddress, files: UInt64, bytes: UInt64) {
        self.content = content
        self.tree = tree
        self.files = files
        self.bytes = bytes
    }

    package var json: JSONValue {
        [
            "content": .string(content.digest.text), "tree": .string(tree.digest.text), "files": .integer(Int64(files)),
            "bytes": .integer(Int64(bytes)),
        ]
    }

    /// `nil` when a member is missing or malformed.
    package init?(_ json: JSONValue?) {
        guard let json, let content = json["content"]?.digest, let tree = json["tree"]?.digest,
            let files = json["files"]?.integer, let bytes = json["bytes"]?.integer, files >= 0, bytes >= 0
        else { return nil }
        self.init(
            content: ContentDigest(content), tree: ObjectAddress(tree), files: UInt64(files), bytes: UInt64(bytes))
    }
}
