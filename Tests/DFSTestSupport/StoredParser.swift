import DFSChunking
import DFSLedger
import DFSModel
import DFSStore

/// A parser of stored bytes, as fuzzers and the replay of their corpus drive it.
///
/// Whatever the bytes are, a parser answers with a value or with `.corrupt` or `.newerFormat`; a value is written back as
/// bytes that read as the same value.
package enum StoredParser: String, CaseIterable, Sendable {
    case packIndex = "pack-index"
    case treeNode = "tree-node"
    case recipe
    case entry
    case event
    case json
    case packSet = "pack-set"
    case description
    case text
    case zstd
    case name
    case signature

    /// What is wrong with how the parser took `bytes`; `nil` when nothing is.
    package func problem(with bytes: [UInt8]) -> String? {
        do throws(DFSError) { return try take(bytes) ? nil : "decoding and encoding is not stable" } catch {
            return error.code == .corrupt || error.code == .newerFormat ? nil : "\(error.code): \(error.what)"
        }
    }

    /// Reads the bytes, everything in them, and what they are written as. Returns whether that is the same.
    private func take(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        switch self {
        case .packIndex: try Self.packIndex(bytes)
        case .treeNode: try Self.treeNode(bytes)
        case .recipe: try Self.recipe(bytes)
        case .entry:
            try Self.isStable(try LedgerEntry.parse(bytes).encoded, bytes) { (again) throws(DFSError) in
                try LedgerEntry.parse(again).encoded
            }
        case .event: try Self.event(bytes)
        case .json:
            try Self.isStable(try JSONValue.parse(bytes).canonicalBytes, nil) { (again) throws(DFSError) in
                try JSONValue.parseCanonical(again).canonicalBytes
            }
        case .packSet:
            try Self.isStable(try PackSet.decode(bytes).encode(), nil) { (again) throws(DFSError) in
                try PackSet.decode(again).encode()
            }
        case .description:
            try Self.isStable(try StoreDescription.decode(bytes, location: "a store").encode(), bytes) {
                (again) throws(DFSError) in try StoreDescription.decode(again, location: "a store").encode()
            }
        case .text:
            try Self.isStable(try TextObject.parse(bytes).encoded, nil) { (again) throws(DFSError) in
                try TextObject.parse(again).encoded
            }
        case .zstd: try Self.zstd(bytes)
        case .name: Self.name(bytes)
        case .signature: Self.signature(bytes)
        }
    }

    private static func isStable(
        _ written: [UInt8], _ original: [UInt8]?, _ again: ([UInt8]) throws(DFSError) -> [UInt8]
    ) throws(DFSError) -> Bool {
        if let original, original != written { return false }
        return try again(written) == written
    }

    private static func packIndex(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        let index = try PackIndex.decode(bytes, expecting: PackID(.of(bytes)))
        var isFound = true
        for i in 0..<index.count {
            let item = index[i]
            isFound = isFound && index.find(item.digest)?.digest == item.digest
        }
        return isFound && index.bytes == bytes
    }

    private static func treeNode(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        let node = try TreeNode.decode(bytes)
        for i in 0..<node.count {
            let name = Array(node.name(i))
            guard TreeEntry.isValid(name: name), node.lowerBound(name) == i else { return false }
            if node.level > 0 {
                guard node.child(i).firstName == name else { return false }
            } else {
                guard node.entry(i).name == name else { return false }
            }
        }
        guard node.level == 0, node.count > 0, node.count < 512 else { return true }
        // Where a builder cuts does not matter to a reader, so only what is one node when built again is compared.
        var nodes = [TreeBuilder.Node]()
        _ = try TreeBuilder.build((0..<node.count).map { node.entry($0) }) { (new) throws(DFSError) in
            nodes.append(new)
            return ObjectAddress(.of(new.bytes))
        }
        return nodes.count > 1 || nodes[0].bytes == bytes
    }

    private static func recipe(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        let recipe = try Recipe.decode(bytes)
        for (i, start) in recipe.starts.enumerated() where recipe.index(at: start) != i { return false }
        return recipe.encode() == bytes
    }

    private static func event(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        let event = try LedgerEvent(json: try JSONValue.parse(bytes))
        return try LedgerEvent(json: event.json).json == event.json
    }

    /// The first four bytes say how long the frame after them claims to be.
    private static func zstd(_ bytes: [UInt8]) throws(DFSError) -> Bool {
        guard bytes.count >= 4 else { return true }
        let length = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        var result: Result<[UInt8], DFSError> = .success([])
        bytes.dropFirst(4).withUnsafeBytes { frame in
            do throws(DFSError) { result = .success(try Zstd.decompress(frame, length: length)) } catch {
                result = .failure(error)
            }
        }
        return try result.get().count == length
    }

    private static func name(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self), let name = NameText.decode(text) else { return true }
        return NameText.decode(NameText.encode(name)) == name && NameText.decode(NameText.encode(bytes)) == bytes
    }

    /// 32 bytes of a key, then the signature.
    private static func signature(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 32, let key = PublicKey(raw: Array(bytes.prefix(32))) else { return true }
        return SSHSIG.problem(Array(bytes.dropFirst(32)), message: [1], key: key) != nil
    }
}
