import CLinux
import DFSLedger
import DFSModel
import DFSSystem
import Glibc

/// Where the ranks of one step meet: `live/steps-<uid>/<step>/` of the store (FORMAT.md §9), closed to everybody else.
///
/// A script that is a rank may call `dfs-run` several times: each time is a meeting of its own, `0`, `1` …, and each rank takes
/// part in the first in which it has had no part yet. Nothing of a meeting that others may look at is ever replaced by another
/// leader's, so two ranks that find a leader dead cannot both lead.
struct MeetingPlace {
    /// Whether this process leads; else what it joins.
    enum Role { case leader(RankMeeting), follower(RankMeeting, LeaderClaim) }

    let rank: StepRank
    /// Held open, and reached by its number: in a shared store others may make names in `live/`.
    private let user: OwnedDescriptor
    private let folder: String

    init(_ rank: StepRank, storeRoot: String) throws(DFSError) {
        self.rank = rank
        try Files.makeDirectories(storeRoot + "/live")
        user = try Self.enter(storeRoot + "/live/steps-\(geteuid())")
        folder = "/proc/self/fd/\(user.raw)/" + rank.step
    }

    /// Makes the directory where it is missing, and refuses one that is not this user's alone.
    private static func enter(_ path: String) throws(DFSError) -> OwnedDescriptor {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw System.error(errno, "cannot make directory \(path)") }
        guard let directory = try? OwnedDescriptor.open(path, clinux_O_PATH | O_DIRECTORY | O_NOFOLLOW) else {
            throw refusal(path, "it is no directory")
        }
        let status = try FileStatus.of(directory)
        guard status.uid == geteuid() else { throw refusal(path, "it belongs to user \(status.uid)") }
        guard status.mode & 0o777 == 0o700 else {
            throw refusal(path, "others may use it: its mode is \(String(status.mode & 0o777, radix: 8))")
        }
        return directory
    }

    private static func refusal(_ path: String, _ cause: String) -> DFSError {
        DFSError(.refused, "ranks cannot meet in \(path)", cause: cause, hint: "ls -ld \(path)")
    }

    // MARK: Meeting

    func attend(_ claim: LeaderClaim) throws(DFSError) -> Role {
        sweep()
        for _ in 0..<100 {
            do throws(DFSError) {
                if let role = try look(claim) { return role }
            } catch {
                // A leader has removed what is over.
                guard error.errno == ENOENT else { throw error }
            }
        }
        throw DFSError(
            .launcher, "rank \(rank.rank) found no place in step \(rank.step)",
            cause: "its folder comes and goes", hint: "dfs runs")
    }

    /// `nil` when another rank was faster: then there is something else to see.
    private func look(_ claim: LeaderClaim) throws(DFSError) -> Role? {
        if mkdir(folder, 0o700) != 0, errno != EEXIST { throw System.error(errno, "cannot make \(rank.step)") }
        let numbers = try DirectoryListing.names(of: folder).compactMap { Int(NameText.encode($0)) }.sorted()
        for number in numbers {
            let meeting = RankMeeting(rank, step: folder, number: number)
            guard let leader = try meeting.leader() else { return try lead(number, claim) }
            // Of an earlier call by the same rank.
            guard leader.rank != rank.rank, try meeting.note(of: rank.rank) == nil else { continue }
            let isAlive = try isAlive(leader)
            let isOver = try meeting.failure() != nil
            let isShared = try meeting.read("ready.json") != nil
            // Died before there was anything to join: another rank may lead.
            guard isAlive || isOver || isShared else { continue }
            var note = RankNote(process: try ProcessIdentity.own())
            if leader.command != claim.command { note.command = claim.words }
            try meeting.replace(note, of: rank.rank)
            return .follower(meeting, leader)
        }
        return try lead((numbers.last ?? -1) + 1, claim)
    }

    private func lead(_ number: Int, _ claim: LeaderClaim) throws(DFSError) -> Role? {
        let meeting = RankMeeting(rank, step: folder, number: number)
        if mkdir(meeting.folder, 0o700) != 0, errno != EEXIST { throw System.error(errno, "cannot make a meeting") }
        return try meeting.put(claim) ? .leader(meeting) : nil
    }

    private func isAlive(_ leader: LeaderClaim) throws(DFSError) -> Bool {
        switch try leader.process.liveness() {
        case .dead: return false
        case .unknown(let reason):
            throw DFSError(
                .launcher, "rank \(rank.rank) cannot join rank \(leader.rank)", cause: reason,
                hint: "srun -N 1 -n \(rank.count) dfs-run …")
        case .alive:
            // Where it says that the view is, the kernel is asked: it must be this user's.
            guard let status = try FileStatus.of(path: "/proc/\(leader.process.pid)") else { return false }
            guard status.uid == geteuid() else {
                throw DFSError(
                    .refused, "rank \(rank.rank) cannot join rank \(leader.rank)",
                    cause: "process \(leader.process.pid) belongs to user \(status.uid)",
                    hint: "ps -fp \(leader.process.pid)")
            }
            return true
        }
    }

    /// Folders of steps that are over, which a killed leader leaves.
    private func sweep() {
        let all = Files.parent(folder)
        guard let steps = try? DirectoryListing.names(of: all) else { return }
        for name in steps {
            let step = all + "/" + NameText.encode(name)
            guard let status = try? FileStatus.of(path: step), status.kind == .directory,
                status.modified < Clock.now().adding(seconds: -86_400),
                let numbers = try? DirectoryListing.names(of: step).compactMap({ Int(NameText.encode($0)) }),
                !numbers.contains(where: { number in
                    let leader = try? RankMeeting(rank, step: step, number: number).leader()
                    return (try? leader?.process.liveness()).map { $0 != .dead } ?? false
                })
            else { continue }
            try? Files.removeTree(step)
        }
    }
}
