import DFSLedger
import DFSModel
import DFSSystem
import Glibc

/// Where the ranks of one step meet: `live/steps/<step>/` of the store (FORMAT.md §9).
///
/// Whoever links `leader.json` first leads: it starts the run. The others wait for `ready.json` (or `failed.json`) and join its
/// view. Each has a file `rank-<n>.json`: that it came, and later how it ended.
struct RankMeeting {
    let rank: StepRank
    let folder: String

    /// Seconds that a rank which never came is waited for when the leader's own job has ended.
    static let patience = 60

    init(_ rank: StepRank, storeRoot: String) {
        self.rank = rank
        folder = storeRoot + "/live/steps/" + rank.step
    }

    /// Whether this process leads; else the run that it joins.
    enum Role { case leader, follower(RunID, leader: ProcessIdentity) }

    func attend(_ run: RunID) throws(DFSError) -> Role {
        try Files.makeDirectories(Files.parent(folder))
        sweep()
        try Files.makeDirectories(folder, mode: 0o700)
        let claim: JSONValue = ["run": .string(run.description), "process": try ProcessIdentity.own().json]
        // Two looks: the folder of an earlier try of the same step may hold a leader that is dead.
        for _ in 0..<2 {
            if try put(claim, as: "leader.json") { return .leader }
            guard let found = try read("leader.json"), let id = (found["run"]?.string).flatMap({ RunID($0) }),
                let leader = (found["process"]).flatMap({ ProcessIdentity(json: $0) })
            else { continue }
            if try leader.liveness() != .dead {
                try note(["process": try ProcessIdentity.own().json], of: rank.rank)
                return .follower(id, leader: leader)
            }
            if try read("ready.json") != nil { break }
            unlink(folder + "/leader.json")
        }
        throw DFSError(
            .launcher, "rank \(rank.rank) of step \(rank.step) came too late", cause: "the rank that led it is gone",
            hint: "ls \(folder)")
    }

    /// Folders of steps that are over, which a killed leader leaves.
    private func sweep() {
        guard let names = try? DirectoryListing.names(of: Files.parent(folder)) else { return }
        for name in names {
            let other = Files.parent(folder) + "/" + NameText.encode(name)
            guard let status = try? FileStatus.of(path: other), status.uid == geteuid(),
                status.modified < Clock.now().adding(seconds: -86_400),
                let leader = (try? RankMeeting.read(other + "/leader.json"))?["process"].flatMap({
                    ProcessIdentity(json: $0)
                }), (try? leader.liveness()) == .dead
            else { continue }
            try? Files.removeTree(other)
        }
    }

    // MARK: Files

    private func put(_ value: JSONValue, as name: String) throws(DFSError) -> Bool {
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o600)
        try file.append(value.canonicalBytes)
        do throws(DFSError) { try file.link(as: folder + "/" + name) } catch {
            if error.errno == EEXIST { return false }
            throw error
        }
        return true
    }

    private static func read(_ path: String) throws(DFSError) -> JSONValue? {
        guard let bytes = try Files.readRegular(path, limit: 1 << 20) else { return nil }
        return try JSONValue.parse(bytes)
    }

    func read(_ name: String) throws(DFSError) -> JSONValue? { try Self.read(folder + "/" + name) }

    func replace(_ name: String, _ value: JSONValue) throws(DFSError) {
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o600)
        try file.append(value.canonicalBytes)
        try file.replace(folder + "/" + name)
    }

    func note(_ value: JSONValue, of rank: Int) throws(DFSError) { try replace("rank-\(rank).json", value) }

    func close() { try? Files.removeTree(folder) }

    // MARK: The leader's end

    /// How the other ranks ended, by rank: their exit codes; `nil` of those that died without a word or never came. Returns
    /// when all have ended.
    func awaitOthers() -> [Int: Int32?] {
        let others = (0..<rank.count).filter { $0 != rank.rank }
        let limit = Clock.monotonic() + UInt64(Self.patience) * 1_000_000_000
        var ended = [Int: Int32?]()
        while true {
            for other in others where ended[other] == nil {
                if let end = end(of: other, isLate: Clock.monotonic() > limit) { ended[other] = .some(end.code) }
            }
            if ended.count == others.count { return ended }
            usleep(20_000)
        }
    }

    /// `nil` while it goes on or may still come.
    private func end(of other: Int, isLate: Bool) -> (code: Int32?, Void)? {
        guard let note = try? read("rank-\(other).json") else { return isLate ? (nil, ()) : nil }
        if let code = note["exit"]?.integer { return (Int32(truncatingIfNeeded: code), ()) }
        guard let process = (note["process"]).flatMap({ ProcessIdentity(json: $0) }),
            (try? process.liveness()) == .alive
        else {
            // It may have written its end between the two looks.
            let again = (try? read("rank-\(other).json"))?["exit"]?.integer
            return (again.map { Int32(truncatingIfNeeded: $0) }, ())
        }
        return nil
    }
}
