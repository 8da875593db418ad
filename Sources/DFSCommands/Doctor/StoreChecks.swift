import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRemote
import DFSRuns
import DFSStore
import DFSSystem
import Glibc

/// What `dfs doctor` finds in the store and of this host. Each finding stands alone: what fails does not hide the rest.
struct StoreChecks {
    let context: CommandContext
    let repairs: Bool

    func findings() -> [DoctorFinding] {
        guard let location = try? context.storeLocation(), !location.isRemote,
            Files.exists(location.location + "/" + StoreDescription.key)
        else { return host(scratch: "/tmp") }
        let repository: Repository
        do { repository = try context.repository() } catch {
            return [DoctorFinding("opens", error)] + host(scratch: "/tmp")
        }
        var out = [
            DoctorFinding(
                "opens", .good, "store \(repository.id)", facts: ["store": .string(repository.id.description)])
        ]
        out += index(repository) + ledger(repository) + clock(repository) + space(repository) + runs(repository)
        out += temporaries(repository)
        return out + host(scratch: repository.root + "/tmp")
    }

    private func looked(_ subject: String, _ look: () throws(DFSError) -> DoctorFinding) -> [DoctorFinding] {
        do { return [try look()] } catch { return [DoctorFinding(subject, error)] }
    }

    /// Opening the store opened the index; a damaged one is rebuilt then.
    private func index(_ repository: Repository) -> [DoctorFinding] {
        looked("index") { () throws(DFSError) in
            DoctorFinding("index", .good, try context.directories.cache() + "/\(repository.id)/index")
        }
    }

    private func ledger(_ repository: Repository) -> [DoctorFinding] {
        do throws(DFSError) {
            let state = try repository.state()
            let head = state.head
            guard let last = try repository.ledger.entry(head.sequence), let key = state.keys[last.key] else {
                return [DoctorFinding("ledger", .problem, "its last entry cannot be read", hint: "dfs audit verify")]
            }
            if let problem = last.signatureProblem(key.publicKey) {
                return [
                    DoctorFinding("ledger", .problem, "entry \(head.sequence)", note: problem, hint: "dfs audit verify")
                ]
            }
            let entry = DoctorFinding(
                "ledger", .good, Quantity.count(head.sequence, "entry", plural: "entries"),
                note: head.time.map { "last at \($0.short), signature holds" },
                facts: ["entries": .integer(Int64(clamping: head.sequence)), "head": .string(head.digest.text)])
            return [entry] + rejected(state) + ownKey(state)
        } catch { return [DoctorFinding("ledger", error)] }
    }

    private func rejected(_ state: LedgerState) -> [DoctorFinding] {
        guard let first = state.rejected.last else { return [] }
        return [
            DoctorFinding(
                "ledger", .note, "\(Quantity.count(state.rejected.count, "event")) passed over",
                note: "entry \(first.sequence): \(first.reason)", hint: "dfs audit verify")
        ]
    }

    private func ownKey(_ state: LedgerState) -> [DoctorFinding] {
        looked("own key") { () throws(DFSError) in
            guard let own = try KeyFile.publicKey(at: try context.directories.keyFile()) else {
                return DoctorFinding("own key", .good, "none yet", note: "made on first use")
            }
            guard let known = state.keys[own.id] else {
                return DoctorFinding("own key", .note, own.id.text, note: "not yet known to this store")
            }
            if known.isRevoked {
                return DoctorFinding("own key", .problem, own.id.text, note: "revoked", hint: "dfs audit log")
            }
            return DoctorFinding(
                "own key", known.isVouchedFor ? .good : .note, own.id.text,
                note: known.owner ? "owner" : known.isVouchedFor ? "approved by an owner" : "no owner has approved it",
                facts: ["vouched": .bool(known.isVouchedFor)])
        }
    }

    /// The difference to the machine that holds the store; needs a file written there.
    private func clock(_ repository: Repository) -> [DoctorFinding] {
        guard access(repository.root + "/tmp", W_OK) == 0 else {
            return [DoctorFinding("clock", .note, "not compared", note: "the store cannot be written to")]
        }
        return looked("clock") { () throws(DFSError) in
            let store = try repository.backend.time()
            let difference = context.clock().seconds - store.seconds
            let synchronised = ClockSynchronisation.current()
            let isFar = abs(difference) > LedgerClock.tolerance
            return DoctorFinding(
                "clock", isFar ? .problem : .good, "\(difference) s from the store's",
                note: "kept in step: \(synchronised.rawValue)", hint: isFar ? "timedatectl set-ntp true" : nil,
                facts: ["differenceSeconds": .integer(difference), "synchronised": .string(synchronised.rawValue)])
        }
    }

    private func space(_ repository: Repository) -> [DoctorFinding] {
        looked("space") { () throws(DFSError) in
            let free = try repository.backend.freeSpace() ?? 0
            let isLow = free < 1 << 30
            return DoctorFinding(
                "space", isLow ? .note : .good, "\(ByteCount(free)) free",
                hint: isLow ? "df -h \(repository.root)" : nil,
                facts: ["free": .integer(Int64(clamping: free))])
        }
    }

    private func runs(_ repository: Repository) -> [DoctorFinding] {
        if repairs { context.closeDeadRuns(repository) }
        return looked("runs") { () throws(DFSError) in
            let reaper = RunReaper(repository: repository)
            let all = try LiveRun.all(storeRoot: repository.root).map { ($0, reaper.standing(of: $0.run)) }
            let dead = all.filter { $0.1 == .dead && $0.0.isOwn }.map(\.0.run)
            let elsewhere = all.count { $0.1 == .elsewhere }, others = all.count { $0.1 == .dead && !$0.0.isOwn }
            guard !dead.isEmpty else {
                var notes = [String]()
                if elsewhere > 0 { notes.append("\(Quantity.number(elsewhere)) of other machines") }
                // Only their users can say what they left.
                if others > 0 { notes.append("\(Quantity.number(others)) dead, of other users") }
                let running = all.count - elsewhere - others
                return DoctorFinding(
                    "runs", .good, "\(Quantity.number(running)) in progress",
                    note: notes.isEmpty ? nil : notes.joined(separator: ", "))
            }
            return DoctorFinding(
                "runs", .problem, "\(Quantity.count(dead.count, "run")) whose launcher died",
                note: dead.prefix(3).map(\.short).joined(separator: ", "), hint: "dfs doctor --repair",
                facts: ["dead": .array(dead.map { .string($0.description) })])
        }
    }

    private func temporaries(_ repository: Repository) -> [DoctorFinding] {
        looked("tmp") { () throws(DFSError) in
            let temporaries = Temporaries(store: repository.root)
            let found = try temporaries.look(now: context.clock())
            let swept = repairs && !found.left.isEmpty ? try temporaries.remove(found.left) : 0
            let left = found.left.count - swept
            let using = found.inUse > 0 ? "\(Quantity.count(found.inUse, "file")) being written" : nil
            let facts: [String: JSONValue] = ["left": .integer(Int64(left)), "inUse": .integer(Int64(found.inUse))]
            guard left > 0 else {
                let what = swept == 0 ? "clean" : "swept \(Quantity.count(swept, "file"))"
                return DoctorFinding("tmp", .good, what, note: using, facts: facts)
            }
            return DoctorFinding(
                "tmp", .note, "\(Quantity.count(left, "file")) left by interrupted commands", note: using,
                hint: "dfs doctor --repair", facts: facts)
        }
    }

    private func host(scratch: String) -> [DoctorFinding] {
        let place = access(scratch, W_OK) == 0 ? scratch : "/tmp"
        let found = Capabilities.probe(scratch: place, path: context.environment["PATH"] ?? "/usr/bin:/bin")
        return [
            capability("fuse", "/dev/fuse", found.fuseDevice, "ls -l /dev/fuse"),
            capability("fuse", "fusermount3", found.fusermount, "apt-get install fuse3"),
        ]
    }

    /// A note, not a problem: without it, data is served as a copy.
    private func capability(
        _ subject: String, _ what: String, _ finding: Capabilities.Finding, _ hint: String
    ) -> DoctorFinding {
        DoctorFinding(
            subject, finding.isUsable ? .good : .note, finding.isUsable ? "\(what) is usable" : finding.reason ?? what,
            hint: finding.isUsable ? nil : hint, facts: ["usable": .bool(finding.isUsable)])
    }
}
