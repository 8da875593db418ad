import DFSCommands
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import DFSTestSupport
import DFSVirtual
import Glibc
import Testing

/// Whoever looks at runs closes those that died: what may be touched then, and what not.
struct DeadRunTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.commitTwice()
    }

    /// A run that the ledger has started, with a live folder whose launcher is no more.
    private func deadRun(outcome: RunOutcome? = nil, journal: [String: JSONValue]? = [:]) throws -> LiveRun {
        let live = LiveRun(
            storeRoot: sandbox.store, run: try sandbox.recordRun(command: ["x"], outcome: outcome))
        try live.make()
        try TestFiles.write(live.outputs + "/model", Array("weights".utf8))
        guard let journal else { return live }
        var launcher = try ProcessIdentity.own().json
        if case .object(var members) = launcher {
            members["start"] = 1
            launcher = .object(members)
        }
        let members: [String: JSONValue] = ["format": "dfs.journal/1", "launcher": launcher]
        try live.writeJournal(.object(members.merging(journal) { $1 }))
        return live
    }

    private func run(_ live: LiveRun) throws -> RunRecord { try #require(try sandbox.open().state().run(live.run)) }

    @Test func whatItLeftIsRecorded() throws {
        let live = try deadRun()
        let answer = try sandbox.expect(0, "runs")
        #expect(answer.error.contains("it is recorded as interrupted"), "\(answer.error)")
        let end = try #require(try run(live).end)
        #expect(end.isFound && end.outcome == .interrupted && end.outputs?.files == 1)
        #expect(!Files.exists(live.root))
    }

    /// The kernel gives numbers of namespaces out again: one that is written in a journal is anybody's by now.
    @Test func processesOfOthersLive() throws {
        var pid: pid_t = 0
        let words = ["unshare", geteuid() == 0 ? "-m" : "-rm", "sleep", "1000"]
        let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        try #require(posix_spawnp(&pid, "unshare", nil, nil, argv, nil) == 0)
        defer {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        let own = Files.linkTarget("/proc/self/ns/mnt")
        func namespace() -> String? { Files.linkTarget("/proc/\(pid)/ns/mnt") }
        for _ in 0..<500 where namespace() == own { usleep(10_000) }
        let live = try deadRun(journal: ["namespace": .string(try #require(namespace()))])
        try sandbox.expect(0, "runs")
        #expect(try run(live).end != nil)
        #expect(waitpid(pid, nil, WNOHANG) == 0, "a process of somebody else was killed")
    }

    /// In a shared store somebody else may put a link where a run of theirs should be.
    @Test func linksAreNotFollowed() throws {
        try sandbox.write("secret", to: "private/outputs/diary")
        let live = try deadRun()
        try Files.removeTree(live.root)
        try #require(symlink(sandbox.root + "/private", live.root) == 0)
        try Files.makeDirectories(sandbox.root + "/private/logs")
        let journal = LiveRun(storeRoot: sandbox.store, run: live.run)
        try journal.writeJournal(["launcher": try deadLauncher()])
        try sandbox.expect(0, "runs")
        #expect(try run(live).end == nil)
        #expect(Files.exists(sandbox.root + "/private/outputs/diary"))

        // The folder is one's own, and a link is in it.
        let other = try deadRun()
        try Files.removeTree(other.outputs)
        try #require(symlink(sandbox.root + "/private/outputs", other.outputs) == 0)
        try sandbox.expect(0, "runs")
        #expect(try run(other).end == nil)
        #expect(Files.exists(sandbox.root + "/private/outputs/diary"))
    }

    private func deadLauncher() throws -> JSONValue {
        guard case .object(var members) = try ProcessIdentity.own().json else { return .null }
        members["start"] = 1
        return .object(members)
    }

    @Test(.enabled(if: geteuid() == 0)) func foldersOfOthersStay() throws {
        let live = try deadRun()
        try #require(chown(live.root, 65534, 65534) == 0)
        try sandbox.expect(0, "runs")
        #expect(try run(live).end == nil)
        #expect(Files.exists(live.outputs + "/model"))
    }

    /// A folder whose removal was cut short has no journal any more, or still has it.
    @Test(arguments: [true, false]) func leftOversOfEndedRunsGo(_ hasJournal: Bool) throws {
        let live = try deadRun(outcome: .succeeded, journal: hasJournal ? [:] : nil)
        let answer = try sandbox.expect(0, "runs")
        #expect(!answer.error.contains("interrupted"), "\(answer.error)")
        #expect(!Files.exists(live.root))
        #expect(try run(live).outcome == .succeeded)
    }

    @Test func whatCannotBeRemovedDoesNotFailTheRun() throws {
        let live = try deadRun()
        let repository = try sandbox.open()
        let signer = try KeyFile.load(orCreateAt: sandbox.home + "/.config/dfs/key")
        // Nobody can remove a directory that something is mounted on.
        try Files.makeDirectories(live.scratch + "/busy")
        guard mount("tmpfs", live.scratch + "/busy", "tmpfs", 0, nil) == 0 else { return }
        defer { umount2(live.scratch + "/busy", Int32(MNT_DETACH)) }
        let sealed = try RunSeal(repository: repository, live: live).run(
            outcome: .succeeded, result: [:], found: false, by: signer)
        #expect(sealed.isRecorded && sealed.outputs.files == 1)
        #expect(Files.exists(live.journal), "without it the rest would stay for ever")
        #expect(umount2(live.scratch + "/busy", 0) == 0)
        try sandbox.expect(0, "runs")
        #expect(!Files.exists(live.root))
    }

    /// A mount that looks at the ledger once a second must not take a run whose folder has gone for one without outputs.
    @Test func aMountSeesTheEndOnceTheFolderIsGone() throws {
        let live = try deadRun()
        let repository = try sandbox.open(), history = RepositoryHistory(try sandbox.open())
        let before = try history.run(live.run)
        #expect(before.summary.isLive && !before.summary.isFinal)
        let signer = try KeyFile.load(orCreateAt: sandbox.home + "/.config/dfs/key")
        try RunSeal(repository: repository, live: live).run(
            outcome: .succeeded, result: [:], found: false, by: signer)
        usleep(10_000)
        let after = try history.run(live.run)
        #expect(after.summary.isFinal && after.outputs?.files == 1)
        #expect(try history.document(.status, of: live.run) == Array("succeeded\n".utf8))
    }

    /// A run whose folder is gone and whose end nobody knows is not said to have ended.
    @Test func aLostFolderIsNoEnd() throws {
        let live = try deadRun()
        try Files.removeTree(live.root)
        let run = try RepositoryHistory(try sandbox.open()).run(live.run)
        #expect(run.summary.isLive && !run.summary.isFinal)
    }

    /// Another thread may have read the ledger between a failed look and the question.
    @Test func lookingAgainComparesWithWhatWasSeen() throws {
        let history = RepositoryHistory(try sandbox.open())
        let head = try history.head()
        #expect(try history.lookAgain(after: HistoryPoint(sequence: head.sequence - 1, time: head.time)))
        #expect(try !history.lookAgain(after: head))
    }

    /// What a run tried the host with, when it was killed then.
    @Test func oldProbesAreSwept() throws {
        let probe = sandbox.store + "/tmp/.dfs-probe-0123"
        try Files.makeDirectories(probe + "/upper")
        let old = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
        try #require(utimensat(AT_FDCWD, probe, old, 0) == 0)
        _ = try sandbox.call("doctor", "--repair")
        #expect(!Files.exists(probe))
    }

    /// Its own word is the last, with what was found where it can find nothing any more.
    @Test func aLauncherThatWasTakenForDead() throws {
        let live = try deadRun()
        try sandbox.expect(0, "runs")
        #expect(!Files.exists(live.root))
        let signer = try KeyFile.load(orCreateAt: sandbox.home + "/.config/dfs/key")
        try RunSeal(repository: try sandbox.open(), live: live).run(
            outcome: .succeeded, result: [:], found: false, by: signer)
        let end = try #require(try run(live).end)
        #expect(end.outcome == .succeeded && !end.isFound && end.outputs?.files == 1)
        #expect(try sandbox.expect(0, "cat", "run:\(live.run)/outputs/model").output == "weights")
        try sandbox.expect(0, "verify")
    }
}
