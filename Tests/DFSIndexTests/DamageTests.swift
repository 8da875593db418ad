import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSIndex

/// Each trial damages a copy of a sound index. All run in a child process, so that a signal is a failure here and
/// not the end of the test run.
@Suite struct DamageTests {
    enum Damage: String, CaseIterable, Codable { case bitFlip, zeroPage, stalePage, truncation, junk }

    static let count = 200
    static let trials = 300

    @Test(arguments: Damage.allCases) func damageIsNeverReadAsTruth(_ damage: Damage) async throws {
        let scratch = try Scratch()
        let failure = scratch / "failure"
        await #expect(processExitsWith: .success) { [damage = damage as Damage, failure = failure as String] in
            try Child.run(failure) { try Self.run(damage) }
        }
        try Child.report(failure)
    }

    static func run(_ damage: Damage) throws {
        let scratch = try Scratch()
        let sound = try makeSound(scratch)
        var sums = (rebuilt: 0, whole: 0)
        for seed in 1...trials {
            var random = Random(seed: seed)
            let name = "trial \(damage) seed \(seed)"
            let directory = scratch / "t\(seed)"
            try Files.makeDirectories(directory + "/env")
            try write(apply(damage, to: sound, &random), directory + "/env/data.mdb")
            if seed % 10 == 0 { try check(directory, name, &sums) } else { try readFirst(directory, name, &sums) }
            try Files.removeTree(directory)
        }
        // Free pages take a good part of the file; damage to the others must be noticed, else the trials try nothing.
        try Child.require(sums.rebuilt > 0, "\(damage): rebuilt \(sums.rebuilt), whole \(sums.whole)")
        if damage != .bitFlip { try Child.require(sums.rebuilt > trials / 3, "\(damage): \(sums)") }
    }

    static func check(_ directory: String, _ name: String, _ sums: inout (rebuilt: Int, whole: Int)) throws {
        try useFirst(directory, name, &sums)
        let again = try Sample.open(directory)
        try Child.require(!again.wasRebuilt, "\(name): rebuilt twice")
        try Child.require(try Sample.inspect(again, count: count).absent == 0, "\(name): not there after a reopen")
    }

    /// Opens, reads and writes; the index is closed on return.
    static func useFirst(_ directory: String, _ name: String, _ sums: inout (rebuilt: Int, whole: Int)) throws {
        let index = try readFirst(directory, name, &sums)
        // It can be written, and what is written stays.
        try Sample.fill(index, count: count)
        try Child.require(try Sample.inspect(index, count: count).absent == 0, "\(name): not written")
    }

    @discardableResult
    static func readFirst(
        _ directory: String, _ name: String, _ sums: inout (rebuilt: Int, whole: Int)
    ) throws -> Index {
        let index = try Sample.open(directory)
        let found = try Sample.inspect(index, count: count)
        try Child.require(found.wrong == 0, "\(name): \(found)")
        try Child.require(found.absent == 0 || index.wasRebuilt, "\(name): keys are missing and nothing was noticed")
        if index.wasRebuilt { sums.rebuilt += 1 } else { sums.whole += 1 }
        return index
    }

    static func makeSound(_ scratch: Scratch) throws -> [UInt8] {
        try Sample.fill(try Sample.open(scratch / "sound"), count: count)
        return try Files.read(scratch / "sound/env/data.mdb") ?? []
    }

    static func write(_ bytes: [UInt8], _ path: String) throws {
        let fd = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
        try Files.write(bytes, to: fd.raw, what: path)
    }

    static func apply(_ damage: Damage, to sound: [UInt8], _ random: inout Random) -> [UInt8] {
        var bytes = sound
        let pages = bytes.count / 4096
        let page = random.below(pages) * 4096
        switch damage {
        case .bitFlip:
            // Half of them where they hurt most: in page headers and lists of offsets, and in the root pages.
            let place =
                switch random.below(4) {
                case 0: page + random.below(64)
                case 1: random.below(2) * 4096 + random.below(152)
                default: random.below(bytes.count)
                }
            bytes[place] ^= UInt8(1 << random.below(8))
        case .zeroPage: for i in page..<(page + 4096) { bytes[i] = 0 }
        case .stalePage:
            // A misdirected write: another page's content, with a header that fits.
            let other = random.below(pages) * 4096
            for i in 8..<4096 { bytes[page + i] = sound[other + i] }
        case .truncation: bytes.removeLast(1 + random.below(bytes.count))
        case .junk:
            let length = 1 + random.below(4096)
            let start = random.below(bytes.count - length)
            for (i, byte) in random.bytes(length).enumerated() { bytes[start + i] = byte }
        }
        return bytes
    }

    /// The same file damaged in place, with its seal beside it.
    @Test func theSealDoesNotHideDamage() async throws {
        let reports = try Scratch()
        let failure = reports / "failure"
        await #expect(processExitsWith: .success) { [failure = failure as String] in
            try Child.run(failure) {
                let scratch = try Scratch()
                try Sample.fill(try Sample.open(scratch / "a"), count: Self.count)
                var before = StructureCheck.count.current
                _ = try Sample.open(scratch / "a")
                try Child.require(StructureCheck.count.current == before, "a sealed file was walked")
                for seed in 1...60 {
                    var random = Random(seed: seed)
                    let path = scratch / "a/env/data.mdb"
                    let sound = try Files.read(path) ?? []
                    let fd = try OwnedDescriptor.open(path, O_RDWR)
                    if seed % 3 == 0 {
                        ftruncate(fd.raw, off_t(random.below(sound.count)))
                    } else {
                        let page = random.below(sound.count / 4096) * 4096
                        let byte = [sound[page + 10] ^ UInt8(1 << random.below(4))]
                        _ = byte.withUnsafeBytes { pwrite(fd.raw, $0.baseAddress, 1, off_t(page + 10)) }
                    }
                    before = StructureCheck.count.current
                    var sums = (rebuilt: 0, whole: 0)
                    try Self.check(scratch / "a", "seed \(seed)", &sums)
                    try Child.require(
                        sums.rebuilt == 1 || StructureCheck.count.current > before, "seed \(seed): not even looked at")
                }
            }
        }
        try Child.report(failure)
    }

    @Test func whatIsNoIndexIsReplaced() async throws {
        let reports = try Scratch()
        let failure = reports / "failure"
        await #expect(processExitsWith: .success) { [failure = failure as String] in
            try Child.run(failure) {
                let scratch = try Scratch()
                let sound = try Self.makeSound(scratch)
                var otherVersion = sound
                for page in [0, 4096] { otherVersion[page + 20] = 2 }
                let contents: [[UInt8]] = [
                    [], [0], Array("SQLite format 3\0".utf8), [UInt8](repeating: 0, count: 1 << 20),
                    [UInt8](repeating: 0xFF, count: 8192), Array(sound.prefix(8192)), Array(sound.prefix(8191)),
                    otherVersion, sound + [1], Array(sound[4096...]),
                ]
                for (i, content) in contents.enumerated() {
                    let directory = scratch / "f\(i)"
                    try Files.makeDirectories(directory + "/env")
                    try Self.write(content, directory + "/env/data.mdb")
                    var sums = (rebuilt: 0, whole: 0)
                    try Self.check(directory, "content \(i)", &sums)
                    try Child.require(sums.rebuilt == (i == 8 ? 0 : 1), "content \(i): \(sums)")
                }
                for (i, place) in ["env", "env/data.mdb", "env/seal", "env/lock.mdb", "aside-1"].enumerated() {
                    let directory = scratch / "d\(i)"
                    if place == "env" || i > 1 {
                        try Files.makeDirectories(directory + (i > 1 ? "/env" : ""))
                        try Self.write(Array("not what you think".utf8), directory + "/" + place)
                        if i > 1 { try Self.write(sound, directory + "/env/data.mdb") }
                    } else {
                        try Files.makeDirectories(directory + "/" + place)
                    }
                    var sums = (rebuilt: 0, whole: 0)
                    try Self.check(directory, place, &sums)
                    try Child.require(sums.rebuilt == (i == 2 || i == 4 ? 0 : 1), "\(place): \(sums)")
                    try Child.require(!Files.exists(directory + "/aside-1"), "what was put aside stays")
                }
            }
        }
        try Child.report(failure)
    }

    @Test func anotherIdentityIsNotTrusted() throws {
        let scratch = try Scratch()
        try Sample.fill(try Sample.open(scratch / "a"), count: 50)
        for (identity, tables) in [("store 2", Sample.tables), ("store 2", Sample.tables + ["more"])] {
            let index = try Index.open(directory: scratch / "a", identity: identity, tables: tables)
            #expect(index.wasRebuilt)
            #expect(try Sample.inspect(index, count: 50).right == 0)
        }
    }

    /// Bytes rot while the file is mapped: the walk at open cannot see it, the checksum does.
    @Test(arguments: [0, 1, 2]) func rotInAnOpenIndex(way: Int) async throws {
        let reports = try Scratch()
        let failure = reports / "failure"
        await #expect(processExitsWith: .success) { [way = way as Int, failure = failure as String] in
            try Child.run(failure) {
                let scratch = try Scratch()
                let index = try Sample.open(scratch / "a")
                let marker = Array("a value that rots".utf8)
                try index.write { t throws(DFSError) in
                    for i in 0..<200 { try t.put("state", Array("k\(i)".utf8), i == 100 ? marker : [1, 2, 3]) }
                }
                let path = scratch / "a/env/data.mdb"
                var bytes = try Files.read(path) ?? []
                for i in 0..<(bytes.count - marker.count) where Array(bytes[i..<(i + marker.count)]) == marker {
                    bytes[i + 3] ^= 0x10
                }
                let fd = try OwnedDescriptor.open(path, O_WRONLY)
                try Files.write(bytes, to: fd.raw, what: path)
                let key = Array("k100".utf8)
                switch way {
                case 0:
                    let found = try index.read { t throws(DFSError) in try t.get("state", key) }
                    try Child.require(found == nil, "a rotten value was read")
                case 1:
                    let count = try index.read { t throws(DFSError) in
                        var count = 0
                        try t.forEach("state", prefix: []) { _, _ throws(DFSError) in
                            count += 1
                            return true
                        }
                        return count
                    }
                    try Child.require(count == 0, "a listing with a hole: \(count)")
                default:
                    try index.write { t throws(DFSError) in
                        if try t.get("state", key) == nil { try t.put("state", key, [9]) }
                    }
                    let found = try index.read { t throws(DFSError) in try t.get("state", key) }
                    try Child.require(found == [9], "not written again")
                }
                try Child.require(index.damagedValues == 1 && index.wasRebuilt, "\(index.damagedValues)")
                try Sample.fill(index, count: 100)
                try Child.require(try Sample.inspect(index, count: 100).absent == 0, "not usable after")
            }
        }
        try Child.report(failure)
    }
}
