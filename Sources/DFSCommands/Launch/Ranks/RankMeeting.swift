import DFSLedger
import DFSModel
import DFSSystem
import Glibc

/// One meeting of the ranks of a step (`MeetingPlace`): the folder of one run of theirs.
///
/// Whoever links `leader.json` first leads: it starts the run. The others wait for `ready.json` (or `failed.json`) and join its
/// view. Each has a file `rank-<n>.json`.
struct RankMeeting {
    let rank: StepRank
    let folder: String
    private let step: String

    init(_ rank: StepRank, step: String, number: Int) {
        self.rank = rank
        self.step = step
        folder = step + "/\(number)"
    }

    // MARK: Files

    /// `false` when there is a leader.
    func put(_ claim: LeaderClaim) throws(DFSError) -> Bool {
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o600)
        try file.append(claim.json.canonicalBytes)
        do throws(DFSError) { try file.link(as: folder + "/leader.json") } catch {
            if error.errno == EEXIST { return false }
            throw error
        }
        return true
    }

    func read(_ name: String) throws(DFSError) -> JSONValue? {
        guard let bytes = try Files.readRegular(folder + "/" + name, limit: 1 << 20) else { return nil }
        return try JSONValue.parse(bytes)
    }

    func replace(_ name: String, _ value: JSONValue) throws(DFSError) {
        let file = try DurableFile(temporaryDirectory: folder, mode: 0o600)
        try file.append(value.canonicalBytes)
        try file.replace(folder + "/" + name)
    }

    /// `nil` as long as nobody leads.
    func leader() throws(DFSError) -> LeaderClaim? {
        guard let found = try read("leader.json") else { return nil }
        guard let claim = LeaderClaim(json: found) else {
            throw DFSError(.launcher, "step \(rank.step) has a leader of another version", hint: "dfs --version")
        }
        return claim
    }

    func note(of rank: Int) throws(DFSError) -> RankNote? { try read("rank-\(rank).json").map { RankNote(json: $0) } }

    func replace(_ note: RankNote, of rank: Int) throws(DFSError) { try replace("rank-\(rank).json", note.json) }

    /// Gone at once for those who come, whatever a killed process leaves.
    func close() {
        let gone = step + "/.over-" + Randomness.hex(bytes: 6)
        guard rename(folder, gone) == 0 else { return }
        try? Files.removeTree(gone)
        // Not while there is another meeting.
        rmdir(step)
    }

    // MARK: Failure

    /// Tells the ranks that wait why there is no run.
    func fail(_ error: DFSError) {
        var members: [String: JSONValue] = ["what": .string(error.what), "code": .string(error.code.rawValue)]
        if let cause = error.cause { members["cause"] = .string(cause) }
        if let hint = error.hint { members["hint"] = .string(hint) }
        try? replace("failed.json", .object(members))
    }

    /// Why there is no run, where the leader has said so.
    func failure() throws(DFSError) -> DFSError? {
        try read("failed.json").map { failed in
            DFSError(
                (failed["code"]?.string).flatMap { DFSError.Code(rawValue: $0) } ?? .launcher,
                failed["what"]?.string ?? "rank \(rank.rank) has no run to join",
                cause: failed["cause"]?.string, hint: failed["hint"]?.string)
        }
    }

    // MARK: The leader's end

    /// How a rank ended; `nil` while it goes on, or may still come.
    func end(of other: Int, isLate: Bool) -> RankEnd? {
        guard let note = try? note(of: other) else { return isLate ? RankEnd(exit: nil, command: nil) : nil }
        if note.exit != nil { return RankEnd(note) }
        guard let process = note.process, (try? process.liveness()) == .alive else {
            // It may have written its end between the two looks.
            return RankEnd((try? self.note(of: other)) ?? note)
        }
        return nil
    }
}

/// How a rank ended.
struct RankEnd {
    /// Its exit code; `nil` when it never came, or died without a word.
    let exit: Int32?
    /// As `RankNote.command`.
    let command: JSONValue?
}

extension RankEnd {
    init(_ note: RankNote) { self.init(exit: note.exit, command: note.command) }
}
