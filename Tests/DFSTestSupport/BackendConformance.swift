import DFSModel
import DFSRemote
import DFSSystem
import Synchronization

/// What every backend must do. A backend's test calls `run` and expects no complaint.
package struct BackendConformance {
    private let make: () throws -> any Backend

    /// `make` returns a fresh, empty backend.
    package init(_ make: @escaping () throws -> any Backend) { self.make = make }

    package func run() throws -> [String] {
        var complaints = [String]()
        func check(_ condition: Bool, _ what: String) { if !condition { complaints.append(what) } }
        let backend = try make()
        try putAndGet(backend, check)
        try conditionalPut(backend, check)
        try pieces(backend, check)
        try listing(backend, check)
        try races(backend, check)
        let before = Clock.now()
        let time = try backend.time()
        check(abs(time.seconds - before.seconds) < 300, "time() is far from this host's")
        if let free = try backend.freeSpace() { check(free > 0, "no free space") }
        return complaints
    }

    private func putAndGet(_ b: any Backend, _ check: (Bool, String) -> Void) throws {
        check(try b.get("packs/aa/none", limit: 10) == nil, "an absent object is nil")
        check(try b.length(of: "packs/aa/none") == nil, "an absent object has no length")
        try b.put("packs/aa/one", [1, 2, 3])
        check(try b.get("packs/aa/one", limit: 10) == [1, 2, 3], "get returns what was put")
        check(try b.length(of: "packs/aa/one") == 3, "length is that of what was put")
        try b.put("packs/aa/empty", [])
        check(try b.get("packs/aa/empty", limit: 10) == [], "an empty object is not an absent one")
        do {
            _ = try b.get("packs/aa/one", limit: 2)
            check(false, "an object above the limit is refused")
        } catch {}
        let file = try b.begin()
        try file.append([UInt8](repeating: 7, count: 70_000))
        check(try b.length(of: "packs/bb/two") == nil, "an unpublished file is not there")
        try b.publish(file, as: "packs/bb/two")
        check(try b.length(of: "packs/bb/two") == 70_000, "a published file is there whole")
    }

    private func conditionalPut(_ b: any Backend, _ check: (Bool, String) -> Void) throws {
        check(try b.putIfAbsent("ledger/0/1.json", [1]), "the first put wins")
        check(try !b.putIfAbsent("ledger/0/1.json", [2]), "the second put loses")
        check(try b.putIfAbsent("ledger/0/1.json", [1]), "the same bytes count as done")
        check(try b.get("ledger/0/1.json", limit: 10) == [1], "the first bytes stay")
    }

    private func pieces(_ b: any Backend, _ check: (Bool, String) -> Void) throws {
        let object = try b.open("packs/aa/one")
        var two: (UInt8, UInt8) = (0, 0)
        try withUnsafeMutableBytes(of: &two) { try object.read(into: $0, at: 1) }
        check(two == (2, 3), "a piece is the bytes at its offset")
        do {
            try withUnsafeMutableBytes(of: &two) { try object.read(into: $0, at: 2) }
            check(false, "reading past the end is an error")
        } catch { check((error as? DFSError)?.code == .corrupt, "reading past the end is .corrupt") }
        do {
            _ = try b.open("packs/aa/none")
            check(false, "opening an absent object is an error")
        } catch { check(error.errno == 2, "opening an absent object is ENOENT") }
    }

    private func listing(_ b: any Backend, _ check: (Bool, String) -> Void) throws {
        check(
            try b.list("packs/") == ["packs/aa/empty", "packs/aa/one", "packs/bb/two"], "list gives all keys in order")
        check(try b.list("nothing/").isEmpty, "an absent prefix lists nothing")
        try b.remove("packs/aa/one")
        check(try b.get("packs/aa/one", limit: 10) == nil, "a removed object is gone")
        try b.remove("packs/aa/one")
    }

    private func races(_ b: any Backend, _ check: (Bool, String) -> Void) throws {
        for round in 0..<25 {
            let winners = Counter(), errors = Counter()
            Workers.run(8) { writer in
                do {
                    if try b.putIfAbsent("ledger/race/\(round)", [UInt8(writer)]) { winners.increment() }
                } catch { errors.increment() }
            }
            check(winners.current == 1 && errors.current == 0, "round \(round) has \(winners.current) winners")
        }
    }
}
