import DFSChunking
import DFSModel

/// What dfs-store.json says (FORMAT.md §2). Fixed for the store's life.
package struct StoreDescription: Sendable, Equatable {
    package static let key = "dfs-store.json"

    package let store: StoreID
    package let created: Timestamp
    package let parameters: StoreParameters

    package init(store: StoreID, created: Timestamp, parameters: StoreParameters = .standard) {
        self.store = store
        self.created = created
        self.parameters = parameters
    }

    package func encode() -> [UInt8] {
        let json: JSONValue = [
            "format": "dfs.store/1", "store": .string(store.description), "created": .string(created.description),
            "parameters": parameters.json,
        ]
        return json.canonicalBytes
    }

    package static func decode(_ bytes: [UInt8], location: String) throws(DFSError) -> StoreDescription {
        let damaged = DFSError(
            .corrupt, "\(location)/\(key) is damaged", cause: "it is not the canonical JSON that dfs init wrote",
            hint: "restore \(location)/\(key) from a backup or a replica")
        guard let json = try? JSONValue.parse(bytes), let format = json["format"]?.string else { throw damaged }
        guard format == "dfs.store/1" else {
            throw DFSError(
                .newerFormat, "\(location) has the format \(format)", cause: "this dfs reads dfs.store/1",
                hint: "install a newer dfs")
        }
        guard let id = json["store"]?.string.flatMap({ UUIDv7($0) }),
            let created = json["created"]?.string.flatMap({ Timestamp(stored: $0) }),
            let parameters = StoreParameters(json["parameters"])
        else { throw damaged }
        let description = StoreDescription(store: StoreID(id), created: created, parameters: parameters)
        guard description.encode() == bytes else { throw damaged }
        return description
    }
}

/// How a store cuts and packs. Sizes in bytes.
package struct StoreParameters: Sendable, Equatable {
    package var chunk: ChunkParameters
    /// For files of `largeFrom` bytes or more, so that their recipes stay small.
    package var largeChunk: ChunkParameters
    package var largeFrom: UInt64
    /// A shared pack is closed when it reaches this.
    package var packTarget: UInt64
    /// A raw file of at least this is a pack of its own.
    package var singleFile: UInt64
    package var zstdLevel: Int32
    /// Content is compressed when that saves at least this many percent.
    package var zstdSaves: Int

    package static let standard = StoreParameters(
        chunk: .standard, largeChunk: .large, largeFrom: 1 << 30,
        packTarget: 256 << 20, singleFile: 32 << 20, zstdLevel: 3, zstdSaves: 30)

    package func chunking(for size: UInt64) -> ChunkParameters { size >= largeFrom ? largeChunk : chunk }

    var json: JSONValue {
        [
            "chunk": [
                "minimum": .integer(Int64(chunk.minimum)), "average": .integer(Int64(chunk.average)),
                "maximum": .integer(Int64(chunk.maximum)),
                "large": [
                    "from": .integer(Int64(largeFrom)), "minimum": .integer(Int64(largeChunk.minimum)),
                    "average": .integer(Int64(largeChunk.average)), "maximum": .integer(Int64(largeChunk.maximum)),
                ],
            ],
            "pack": ["target": .integer(Int64(packTarget)), "single": .integer(Int64(singleFile))],
            "zstd": ["level": .integer(Int64(zstdLevel)), "saves": .integer(Int64(zstdSaves))],
        ]
    }

    package init(
        chunk: ChunkParameters, largeChunk: ChunkParameters, largeFrom: UInt64, packTarget: UInt64,
        singleFile: UInt64, zstdLevel: Int32, zstdSaves: Int
    ) {
        self.chunk = chunk
        self.largeChunk = largeChunk
        self.largeFrom = largeFrom
        self.packTarget = packTarget
        self.singleFile = singleFile
        self.zstdLevel = zstdLevel
        self.zstdSaves = zstdSaves
    }

    init?(_ json: JSONValue?) {
        func cut(_ j: JSONValue?) -> ChunkParameters? {
            guard let low = j?["minimum"]?.integer, let mean = j?["average"]?.integer,
                let high = j?["maximum"]?.integer
            else { return nil }
            let parameters = ChunkParameters(minimum: Int(low), average: Int(mean), maximum: Int(high))
            return parameters.isValid ? parameters : nil
        }
        guard let json, let chunk = cut(json["chunk"]), let large = cut(json["chunk"]?["large"]),
            let from = json["chunk"]?["large"]?["from"]?.integer, from > 0,
            let target = json["pack"]?["target"]?.integer, target > 0, target <= 1 << 40,
            let single = json["pack"]?["single"]?.integer, single > 0,
            let level = json["zstd"]?["level"]?.integer, (1...19).contains(level),
            let saves = json["zstd"]?["saves"]?.integer, (1...99).contains(saves)
        else { return nil }
        self.init(
            chunk: chunk, largeChunk: large, largeFrom: UInt64(from), packTarget: UInt64(target),
            singleFile: UInt64(single), zstdLevel: Int32(level), zstdSaves: Int(saves))
    }
}
