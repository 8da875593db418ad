import DFSModel

extension DatasetState {
    package func version(_ number: Int) -> VersionRecord? {
        versions.indices.contains(number - 1) ? versions[number - 1] : nil
    }

    /// The latest committed at `time` or before.
    package func version(at time: Timestamp) -> VersionRecord? { versions.last(at: time) }

    /// The version on which `tag` stands; tags vanish with a version that is removed.
    package func version(tag: String) -> VersionRecord? {
        guard let number = tagHistory[tag]?.last?.version, removals[number] == nil else { return nil }
        return version(number)
    }

    /// The version on which `tag` stood at `time`.
    package func version(tag: String, at time: Timestamp) -> VersionRecord? {
        tagHistory[tag]?.last(at: time)?.version.flatMap(version)
    }

    /// Tags that stand somewhere and the number of their version.
    package var tags: [String: Int] {
        tagHistory.compactMapValues { $0.last?.version.flatMap { removals[$0] == nil ? $0 : nil } }
    }

    package func tags(at time: Timestamp) -> [String: Int] {
        tagHistory.compactMapValues { $0.last(at: time)?.version }
    }

    /// Versions whose content digest begins so, in order. Content that came back has more than one.
    package func versions(content prefix: DigestPrefix) -> [VersionRecord] {
        versions.filter { prefix.matches($0.content.digest) }
    }

    /// The version that `@<digest-prefix>` stands for: the first with this content that is not removed, so that later
    /// commits never move it; `nil` when there is none. Different contents that begin so are an error.
    package func version(content prefix: DigestPrefix) throws(DFSError) -> VersionRecord? {
        let found = versions(content: prefix)
        guard let first = found.first(where: { removals[$0.number] == nil }) ?? found.first else { return nil }
        guard let other = found.first(where: { $0.content != first.content }) else { return first }
        throw DFSError(
            .noReference, "\(name)@sha256:\(prefix.digits) is ambiguous",
            cause: "v\(first.number) and v\(other.number) begin so",
            hint: "dfs show \(name)@v\(first.number)")
    }
}

extension LedgerState {
    /// Names of datasets that exist, sorted.
    package var datasetNames: [String] { datasets.keys.sorted() }

    /// Names of the datasets that had a version at `time`, sorted.
    package func datasetNames(at time: Timestamp) -> [String] {
        datasets.values.filter { $0.version(at: time) != nil }.map(\.name).sorted()
    }

    package var projectNames: [String] { projects.keys.sorted() }

    package func run(_ id: RunID) -> RunRecord? { runPosition(id).map { runs[$0] } }

    /// Where a run stands in `runs`.
    func runPosition(_ id: RunID) -> Int? {
        runs.position(lookup: LookupTable.value(of: id.description)) { $0.id == id }
    }

    /// Runs started at `time` or before, in order.
    package func runs(at time: Timestamp) -> Slice<RecordList<RunRecord>> { runs.prefix(runs.count(at: time)) }

    /// The run that started last; with a key: of those that it started.
    package func latestRun(by key: KeyID? = nil, at time: Timestamp? = nil) -> RunRecord? {
        let known = time.map { runs(at: $0) } ?? runs[...]
        return known.last { key == nil || $0.key == key }
    }

    /// Every run that `text` may mean: a whole id, six or more digits at either end of one, or a two-word name.
    package func runs(matching text: String) -> [RunRecord] {
        if let id = RunID(text) { return run(id).map { [$0] } ?? [] }
        let digits = Array(RunName.digits(of: text).map(\.utf8) ?? text.lowercased().utf8).filter { $0 != 0x2d }
        let isName = digits.count == 4 && RunName.digits(of: text) != nil
        guard isName || digits.count >= 6, digits.allSatisfy(Self.isHex) else { return [] }
        return runs.filter { run in
            Self.ends(run.id.uuid.text.utf8.reversed(), digits.reversed())
                || !isName && Self.ends(run.id.uuid.text.utf8, digits)
        }
    }

    /// The one run that `reference` means; `latest` is the latest started by `own` (`nil`: by anyone).
    package func run(reference: String, own: KeyID?) throws(DFSError) -> RunRecord {
        if reference == "latest" {
            if let run = latestRun(by: own) { return run }
            throw DFSError(
                .noReference, "there is no latest run",
                cause: runs.isEmpty ? "no run was ever recorded here" : "all runs are other users'", hint: "dfs runs")
        }
        let found = runs(matching: reference)
        guard let first = found.first else {
            throw DFSError(.noReference, "there is no run \(reference)", hint: "dfs runs")
        }
        guard found.count == 1 else {
            let some = found.suffix(3).map { $0.id.description }.joined(separator: ", ")
            throw DFSError(
                .noReference, "run \(reference) is ambiguous", cause: "\(found.count) runs answer to it: \(some)",
                hint: "dfs show run:\(found.last?.id ?? first.id)")
        }
        return first
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// Whether `text`, dashes apart, begins with `digits`.
    private static func ends(_ text: some Sequence<UInt8>, _ digits: some Sequence<UInt8>) -> Bool {
        var rest = digits.makeIterator()
        for byte in text where byte != 0x2d {
            guard let digit = rest.next() else { return true }
            guard digit == byte else { return false }
        }
        return rest.next() == nil
    }
}
