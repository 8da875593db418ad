import DFSChunking
import DFSModel
import DFSRemote

/// Checks every entry of a ledger from the first: form, chain, order, time, signature, and that texts match what
/// entries commit to. Trusts nothing but the digest of `dfs-store.json`, and goes on after a problem.
package struct LedgerVerifier {
    /// Finds the bytes of a text object; `nil` when they are gone.
    package typealias TextSource = (Digest) throws(DFSError) -> [UInt8]?

    private let backend: any Backend
    private let store: StoreID
    private let storeFileDigest: Digest

    package init(backend: any Backend, store: StoreID, storeFileDigest: Digest) {
        self.backend = backend
        self.store = store
        self.storeFileDigest = storeFileDigest
    }

    /// Without `texts`, commitments are not checked. `progress` is called with the number of each entry.
    /// Throws only when the folder of entries cannot be listed.
    package func verify(texts: TextSource? = nil, progress: (UInt64) -> Void = { _ in }) throws(DFSError)
        -> LedgerReport
    {
        var walk = Walk(state: LedgerState(store: store, storeFileDigest: storeFileDigest))
        var standing: [UInt64] = []
        var isListed = false
        var bundles: [UInt64] = []
        var sequence: UInt64 = 1
        while true {
            progress(sequence)
            let found = read(sequence)
            if walk.look(at: sequence, found, texts: texts) {
                sequence += 1
                guard case .failure = found else { continue }
                // Where nothing can be read no end would be found: what is listed ends it.
                if !isListed { (standing, bundles) = try list(&walk.report) }
                isListed = true
                if sequence > standing.last ?? 0 { break }
                continue
            }
            // Absent: the end, unless a later one stands in the folder.
            if !isListed { (standing, bundles) = try list(&walk.report) }
            isListed = true
            guard let next = standing.first(where: { $0 > sequence }) else { break }
            walk.skip(sequence..<next)
            sequence = next
        }
        if sequence == 1 { walk.add(1, "there is no first entry") }
        for number in bundles { check(bundle: number, &walk) }
        return walk.report
    }

    private func read(_ sequence: UInt64) -> Result<[UInt8]?, DFSError> {
        do throws(DFSError) {
            return .success(try backend.get(EntryKey.path(sequence), limit: LedgerEntry.byteLimit))
        } catch { return .failure(error) }
    }

    /// Numbers of entries that stand in the folder, and of bundles, in order; files that are neither are noted.
    private func list(_ report: inout LedgerReport) throws(DFSError) -> (entries: [UInt64], bundles: [UInt64]) {
        var entries = [UInt64]()
        var bundles = [UInt64]()
        for key in try backend.list(EntryKey.folder) where !key.hasPrefix(EntryKey.folder + "checkpoints/") {
            if let sequence = EntryKey.sequence(key) {
                entries.append(sequence)
            } else if let number = EntryBundle.number(key) {
                bundles.append(number)
            } else {
                report.strays.append(key)
            }
        }
        return (entries.sorted(), bundles.sorted())
    }

    /// A bundle must say what the entries' own files say.
    private func check(bundle number: UInt64, _ walk: inout Walk) {
        let range = EntryKey.entries(ofFolder: number)
        do throws(DFSError) {
            guard let bytes = try backend.get(EntryBundle.key(number), limit: EntryBundle.byteLimit) else { return }
            let entries = try EntryBundle.decode(bytes, first: range.lowerBound).map { Digest.of($0) }
            guard entries.count == range.count else {
                return walk.add(range.lowerBound, "its bundle has \(entries.count) entries")
            }
            for (sequence, digest) in zip(range, entries) where walk.digests[sequence] != digest {
                return walk.add(sequence, "its bundle has other bytes")
            }
        } catch {
            walk.add(range.lowerBound, "its bundle cannot be read: \(error.cause ?? error.what)")
        }
    }
}

/// One pass over the entries.
private struct Walk {
    var report: LedgerReport
    /// Whether the entries just before are missing, so that there is nothing to chain to.
    private var isAfterGap = false
    /// Whether the state's time is that of the predecessor.
    private var knowsTime = true
    private var textsSeen = Set<Digest>()
    /// SHA-256 of the files that were read.
    private(set) var digests: [UInt64: Digest] = [:]

    init(state: LedgerState) { report = LedgerReport(state: state) }

    mutating func add(_ sequence: UInt64, _ what: String) {
        report.problems.append(LedgerReport.Finding(sequence: sequence, what: what))
    }

    mutating func skip(_ missing: Range<UInt64>) {
        let last = missing.upperBound - 1
        add(
            missing.lowerBound,
            missing.count == 1
                ? "it is missing, later ones exist" : "entries up to \(last) are missing, later ones exist")
        report.state.passOver(last, fileDigest: .zero)
        isAfterGap = true
        knowsTime = false
    }

    /// Returns `false` when there is no entry.
    mutating func look(at sequence: UInt64, _ read: Result<[UInt8]?, DFSError>, texts: LedgerVerifier.TextSource?)
        -> Bool
    {
        do throws(DFSError) {
            guard let bytes = try read.get() else { return false }
            report.entries += 1
            let digest = Digest.of(bytes)
            digests[sequence] = digest
            do throws(DFSError) {
                check(try LedgerEntry.parse(bytes), at: sequence, fileDigest: digest, texts: texts)
            } catch {
                add(sequence, Self.text(error))
                report.state.passOver(sequence, fileDigest: digest)
                knowsTime = false
            }
            isAfterGap = false
        } catch {
            add(sequence, Self.text(error))
            report.state.passOver(sequence, fileDigest: .zero)
            isAfterGap = true
            knowsTime = false
        }
        return true
    }

    private static func text(_ error: DFSError) -> String {
        error.cause.map { "\(error.what): \($0)" } ?? error.what
    }

    private mutating func check(
        _ entry: LedgerEntry, at sequence: UInt64, fileDigest: Digest, texts: LedgerVerifier.TextSource?
    ) {
        if isAfterGap { report.state.passOver(sequence - 1, fileDigest: entry.previous) }
        let foldable = FoldableEntry(entry, digest: fileDigest)
        for problem in report.state.placeProblems(of: foldable) { add(sequence, problem) }
        checkTime(of: entry, at: sequence)
        noteUnknown(in: entry, at: sequence)
        if let revoked = report.state.keys[entry.key]?.revoked {
            add(sequence, "its key \(entry.key.text) was revoked by entry \(revoked.sequence)")
        }
        let signerProblem = report.state.signerProblem(of: entry, foldable, signatures: .verify)
        if let signerProblem { add(sequence, signerProblem) }
        let isTrusted = signerProblem == nil && entry.sequence == sequence && entry.store == report.state.store
        if isTrusted {
            report.state.accept(foldable)
        } else {
            report.state.passOver(sequence, fileDigest: fileDigest)
        }
        knowsTime = isTrusted
        if let texts { checkTexts(of: entry, at: sequence, texts) }
    }

    private mutating func checkTime(of entry: LedgerEntry, at sequence: UInt64) {
        let previous = report.state.head.time ?? entry.clock.host
        if knowsTime, entry.time >= previous, entry.time != max(previous, entry.clock.host) {
            add(sequence, "its time is not the later of its host's and its predecessor's")
        }
        if LedgerClock.isTooFarAhead(host: entry.clock.host, store: entry.clock.store) {
            add(sequence, "its host's clock was more than \(LedgerClock.tolerance) seconds ahead of the store's")
        }
    }

    private mutating func noteUnknown(in entry: LedgerEntry, at sequence: UInt64) {
        for name in entry.unknownMembers {
            report.passedOver.append(LedgerReport.Finding(sequence: sequence, what: "member \(name)"))
        }
        for json in entry.events {
            guard case .unknown(let event)? = try? LedgerEvent(json: json) else { continue }
            let kind = event["kind"]?.string ?? ""
            report.passedOver.append(LedgerReport.Finding(sequence: sequence, what: "event \(kind)"))
        }
    }

    private mutating func checkTexts(of entry: LedgerEntry, at sequence: UInt64, _ source: LedgerVerifier.TextSource) {
        for event in entry.events {
            guard let commitment = event["text"]?.digest, textsSeen.insert(commitment).inserted else { continue }
            report.texts += 1
            do throws(DFSError) {
                guard let bytes = try source(commitment) else {
                    add(sequence, "its text \(commitment.text) is missing")
                    continue
                }
                if Digest.of(bytes) == commitment {
                    _ = try TextObject.parse(bytes)
                } else {
                    add(sequence, "its text \(commitment.text) does not match")
                }
            } catch { add(sequence, "its text \(commitment.text) cannot be read: \(Self.text(error))") }
        }
    }
}
