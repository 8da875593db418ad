import DFSModel
import DFSSystem
import Testing

@testable import DFSIndex

@Suite struct RoundTripTests {
    @Test func valuesComeBack() throws {
        let scratch = try Scratch()
        var index: Index? = try Sample.open(scratch / "a/b")
        #expect(index?.wasRebuilt == true)
        try index.map { try Sample.fill($0, count: 600) }
        index = nil
        let again = try Sample.open(scratch / "a/b")
        #expect(!again.wasRebuilt)
        let found = try Sample.inspect(again, count: 600)
        #expect(found.right == 1200 && found.absent == 0 && found.wrong == 0)
        #expect(again.damagedValues == 0)
    }

    @Test func filesAreForTheUserAlone() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        for name in ["a", "a/env"] { #expect(try FileStatus.of(path: scratch / name)?.mode == 0o700) }
        for name in ["a/open.lock", "a/env/data.mdb", "a/env/lock.mdb", "a/env/seal"] {
            #expect(try FileStatus.of(path: scratch / name)?.mode == 0o600)
        }
        withExtendedLifetime(index) {}
    }

    @Test func listingsFollowTheBytes() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        let keys: [[UInt8]] = [[0], [1], [1, 0], [1, 255], [1, 255, 255], [2], [255], [255, 255], [255, 255, 1]]
        try index.write { t throws(DFSError) in
            for key in keys.reversed() { try t.put("state", key, key + key) }
            try t.put("stat", [1, 7], [])
        }
        func list(_ prefix: [UInt8], from start: [UInt8]? = nil, most: Int = 100) throws -> [[UInt8]] {
            try index.read { t throws(DFSError) in
                var out: [[UInt8]] = []
                try t.forEach("state", prefix: prefix, from: start) { key, value throws(DFSError) in
                    if value == key + key { out.append(key) }
                    return out.count < most
                }
                return out
            }
        }
        #expect(try list([]) == keys)
        #expect(try list([1]) == Array(keys[1...4]))
        #expect(try list([1], from: [1, 1]) == Array(keys[3...4]))
        #expect(try list([1], from: [0]) == Array(keys[1...4]))
        #expect(try list([1], from: [2]) == [])
        #expect(try list([], from: [2], most: 2) == Array(keys[5...6]))
        #expect(try list([255, 255]) == Array(keys[7...8]))
        #expect(try list([3]) == [])
    }

    @Test func theLastOfAPrefix() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        func last(_ table: String, _ prefix: [UInt8]) throws -> [UInt8]? {
            try index.read { t throws(DFSError) in try t.last(table, prefix: prefix)?.key }
        }
        #expect(try last("state", []) == nil)
        #expect(try last("state", [1]) == nil)
        try index.write { t throws(DFSError) in
            for key: [UInt8] in [[1], [1, 9], [1, 255], [3], [255, 7], [255, 255, 2]] { try t.put("state", key, [9]) }
        }
        #expect(try last("state", []) == [255, 255, 2])
        #expect(try last("state", [1]) == [1, 255])
        #expect(try last("state", [1, 9]) == [1, 9])
        #expect(try last("state", [1, 10]) == nil)
        #expect(try last("state", [2]) == nil)
        #expect(try last("state", [0]) == nil)
        #expect(try last("state", [3]) == [3])
        #expect(try last("state", [255]) == [255, 255, 2])
        #expect(try last("state", [255, 255]) == [255, 255, 2])
        #expect(try last("stat", [255]) == nil)
    }

    @Test func aWriteIsWholeOrNothing() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        let stop = DFSError(.refused, "stop")
        #expect(throws: DFSError.self) {
            try index.write { t throws(DFSError) in
                try t.put("state", [1], [1])
                throw stop
            }
        }
        #expect(try index.read { t throws(DFSError) in try t.get("state", [1]) } == nil)
        let seen = try index.write { t throws(DFSError) in
            try t.put("state", [1], [1])
            try t.put("state", [1], [2, 3])
            try t.delete("state", [9])
            return try t.get("state", [1])
        }
        #expect(seen == [2, 3])
        #expect(
            try index.read { t throws(DFSError) in try t.withValue("state", [1]) { $0.map { Array($0) } } } == [2, 3])
    }

    @Test func keysMayGoWhileTheyAreListed() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        try Sample.fill(index, count: 600)
        let visited = try index.write { t throws(DFSError) in
            var visited = 0
            try t.forEach("state", prefix: []) { key, _ throws(DFSError) in
                visited += 1
                try t.delete("state", key)
                return true
            }
            return visited
        }
        #expect(visited == 400)
        #expect(try index.read { t throws(DFSError) in try t.last("state", prefix: []) == nil })
    }

    @Test func mistakesAreErrors() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        let long = [UInt8](repeating: 1, count: 512)
        for key in [[], long] {
            #expect(throws: DFSError.self) { try index.read { t throws(DFSError) in try t.get("state", key) } }
            #expect(throws: DFSError.self) { try index.write { t throws(DFSError) in try t.put("state", key, [1]) } }
        }
        try index.write { t throws(DFSError) in try t.put("state", Array(long.dropLast()), [1]) }
        #expect(throws: DFSError.self) { try index.read { t throws(DFSError) in try t.get("none", [1]) } }
        #expect(throws: DFSError.self) { try index.read { t throws(DFSError) in try t.get("_about", []) } }
        #expect(throws: DFSError.self) {
            try index.read { _ throws(DFSError) in try index.read { t throws(DFSError) in try t.get("state", [1]) } }
        }
        #expect(throws: DFSError.self) { try Index.open(directory: scratch / "b", identity: "", tables: ["_x"]) }
    }

    @Test func oneDirectoryOneIndex() throws {
        let scratch = try Scratch()
        var first: Index? = try Sample.open(scratch / "a")
        let second = try Sample.open(scratch / "a/../a/")
        #expect(first === second)
        try second.write { t throws(DFSError) in try t.put("state", [1], [1]) }
        // Another identity takes the directory; who had the old one keeps it.
        let other = try Index.open(directory: scratch / "a", identity: "store 2", tables: Sample.tables)
        #expect(other !== second && other.wasRebuilt)
        #expect(try other.read { t throws(DFSError) in try t.get("state", [1]) } == nil)
        #expect(try second.read { t throws(DFSError) in try t.get("state", [1]) } == [1])
        first = nil
        #expect(try Index.open(directory: scratch / "a", identity: "store 2", tables: ["state"]) === other)
    }

    @Test func opensAndClosesRace() throws {
        let scratch = try Scratch()
        let failures = Counter()
        let path = scratch / "a"
        Workers.run(400) { i in
            do {
                let index = try Sample.open(path)
                try index.read { t throws(DFSError) in _ = try t.get("state", [1]) }
            } catch { failures.increment() }
        }
        #expect(failures.current == 0)
    }

    @Test func discardEmptiesIt() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a")
        try Sample.fill(index, count: 300)
        try index.discard()
        #expect(try Sample.inspect(index, count: 300).right == 0)
        try Sample.fill(index, count: 300)
        #expect(try Sample.inspect(index, count: 300).absent == 0)
    }

    @Test func theMapGrows() throws {
        let scratch = try Scratch()
        let index = try Sample.open(scratch / "a", mapSize: 1)
        var runs = 0
        let big = [UInt8](repeating: 7, count: 1 << 20)
        try index.write { t throws(DFSError) in
            runs += 1
            for i in 0..<20 { try t.put("chunks", [UInt8(i)], big) }
        }
        #expect(runs > 1)
        for i in 0..<20 {
            #expect(
                try index.read { t throws(DFSError) in
                    try t.withValue("chunks", [UInt8(i)]) { $0.map { $0.elementsEqual(big) } }
                } == true)
        }
    }

    /// Random changes against a dictionary; after each part the file must pass the walk that damaged files do not.
    @Test(arguments: 1...6) func randomChanges(seed: Int) throws {
        let scratch = try Scratch()
        var random = Random(seed: seed)
        var model: [String: [[UInt8]: [UInt8]]] = [:]
        for part in 0..<12 {
            let index = try Sample.open(scratch / "a")
            #expect(index.wasRebuilt == (part == 0), "seed \(seed)")
            for _ in 0..<5 {
                let changes = (0..<random.below(200)).map { _ in Change(&random) }
                let removed = try index.write { t throws(DFSError) in
                    var removed: [Bool] = []
                    for change in changes {
                        if let value = change.value {
                            try t.put(change.table, change.key, value)
                        } else {
                            removed.append(try t.delete(change.table, change.key))
                        }
                    }
                    return removed
                }
                var expected: [Bool] = []
                for change in changes {
                    let old = model[change.table, default: [:]].updateValue(change.value ?? [], forKey: change.key)
                    if change.value == nil {
                        model[change.table]?[change.key] = nil
                        expected.append(old != nil)
                    }
                }
                #expect(removed == expected, "seed \(seed)")
            }
            for table in Sample.tables {
                let all = try index.read { t throws(DFSError) in
                    var all: [([UInt8], [UInt8])] = []
                    try t.forEach(table, prefix: []) { key, value throws(DFSError) in
                        all.append((key, value))
                        return true
                    }
                    return all
                }
                let isSame = Dictionary(uniqueKeysWithValues: all) == model[table, default: [:]]
                #expect(isSame, "seed \(seed)")
                #expect(zip(all, all.dropFirst()).allSatisfy { $0.0.lexicographicallyPrecedes($1.0) })
            }
            try Files.remove(scratch / "a/env/seal")
        }
    }

    /// A put, or a delete without a value. Made before the transaction, whose body may run twice.
    struct Change {
        let table: String
        let key: [UInt8]
        let value: [UInt8]?

        init(_ random: inout Random) {
            table = Sample.tables[random.below(3)]
            key = random.bytes(1 + random.below(random.below(8) == 0 ? 400 : 3))
            switch random.below(10) {
            case 0...3: value = nil
            case 4: value = random.bytes(2000 + random.below(20_000))
            default: value = random.bytes(random.below(120))
            }
        }
    }
}
