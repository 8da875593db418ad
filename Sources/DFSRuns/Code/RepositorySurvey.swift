import DFSModel
import DFSSystem
import Glibc
import Synchronization

/// Asks git about a work tree and the repositories in it.
struct RepositorySurvey {
    let options: CodeSurvey.Options
    /// How many repositories are around this one.
    let depth: Int

    private static let deepest = 16

    /// Throws when directories cannot be read; a git that fails makes the ignore files speak instead.
    func survey(_ top: String) throws(DFSError) -> SurveyFindings {
        let git = GitCommand(top: top, options)
        let answers = ask(git)
        guard case .success(let status) = answers.status, case .success(let index) = answers.index else {
            return try withoutGit(top, [answers.status, answers.index])
        }
        let settings = GitSettings(answers.settings)
        if let place = settings.workTree,
            Files.resolved(Files.absolute(place, from: GitPlace.dataDirectory(of: top))) != top
        {
            let elsewhere = GitFailure(text: "core.worktree names another directory")
            return try withoutGit(top, [.failure(elsewhere)])
        }
        return try survey(top, GitStatus(status), GitIndexListing(index), settings, git)
    }

    // MARK: asking

    private struct Answers {
        let status, index, settings: Result<[UInt8], GitFailure>
    }

    /// The three questions at once: status is the slow one and leaves a processor free.
    private func ask(_ git: GitCommand) -> Answers {
        let questions: [([String], Set<Int32>)] = [
            (GitStatus.arguments, [0]), (GitIndexListing.arguments, [0]),
            // Exit status 1: there is none.
            (GitSettings.arguments, [0, 1]),
        ]
        let silent = Result<[UInt8], GitFailure>.failure(GitFailure(text: "git was not asked"))
        let answers = Mutex([Result<[UInt8], GitFailure>](repeating: silent, count: questions.count))
        Workers.run(questions.count) { i in
            let answer = git.run(questions[i].0, allowing: questions[i].1)
            answers.withLock { $0[i] = answer }
        }
        let all = answers.withLock { $0 }
        return Answers(status: all[0], index: all[1], settings: all[2])
    }

    // MARK: putting together

    private func survey(
        _ top: String, _ status: GitStatus, _ index: GitIndexListing, _ settings: GitSettings,
        _ git: GitCommand
    ) throws(DFSError) -> SurveyFindings {
        var findings = SurveyFindings()
        var facts = status.facts
        let data = GitPlace.dataDirectory(of: top)
        facts.inProgress = GitPlace.inProgress(data)
        facts.isLinked = GitPlace.isLinked(top)
        facts.remotes = settings.remotes
        facts.isPartial = settings.isPartial
        facts.isShallow = Files.exists(GitPlace.commonDirectory(of: data) + "/shallow")
        facts.skippedWorktree = index.skippedWorktree
        facts.assumedUnchanged = index.assumedUnchanged
        if index.hasAttributes || Files.exists(GitPlace.commonDirectory(of: data) + "/info/attributes") {
            facts.largeFiles = LargeFilePointers(git: git).look(in: top)
        }
        findings.facts.repository = facts
        findings.hasDFSIgnore =
            index.hasDFSIgnore || status.untracked.contains { NulTerminated.isDFSIgnore($0) }
            || status.ignored.contains { NulTerminated.isDFSIgnore($0.path) }
        findings.excluded = [
            ExcludedPath(path: Array(".git".utf8), isDirectory: !facts.isLinked, reason: .git)
        ]
        for (path, isDirectory) in status.ignored {
            findings.excluded.append(ExcludedPath(path: path, isDirectory: isDirectory, reason: .ignored))
        }
        try leaveOutLarge(status.untracked, top, &findings)
        for path in index.submodules { try addNested(path, isSubmodule: true, top, &findings) }
        for path in status.repositories { try addNested(path, isSubmodule: false, top, &findings) }
        return findings
    }

    private func leaveOutLarge(_ paths: [[UInt8]], _ top: String, _ findings: inout SurveyFindings) throws(DFSError) {
        guard let limit = options.maximumUntrackedFileSize, !paths.isEmpty else { return }
        let directory = try OwnedDescriptor.open(top, O_RDONLY | O_DIRECTORY)
        for path in paths {
            guard let status = try FileStatus.of(path, at: directory.raw), status.kind == .file, status.size > limit
            else { continue }
            findings.excluded.append(
                ExcludedPath(path: path, isDirectory: false, reason: .tooLarge, size: status.size))
        }
    }

    private func addNested(
        _ path: [UInt8], isSubmodule: Bool, _ top: String, _ findings: inout SurveyFindings
    ) throws(DFSError) {
        var entry = CodeFacts.NestedRepository(path: path, isSubmodule: isSubmodule)
        defer { findings.facts.nested.append(entry) }
        guard let text = String(validating: path, as: UTF8.self) else {
            entry.failure = "its path is not UTF-8, so git was not asked and everything in it is taken"
            return
        }
        let inner = top + "/" + text
        guard Files.exists(inner + "/.git") else {
            entry.failure = Files.isDirectory(inner) ? "the submodule is not initialised" : "the directory is missing"
            return
        }
        guard depth < Self.deepest else {
            entry.failure = "more than \(Self.deepest) repositories deep"
            findings.excluded.append(ExcludedPath(path: path, isDirectory: true, reason: .nestedRepository))
            return
        }
        let found = try RepositorySurvey(options: options, depth: depth + 1).survey(inner)
        entry.facts = found.facts.repository
        entry.failure = found.facts.gitFailure
        findings.add(found, below: path)
    }

    private func withoutGit(
        _ top: String, _ answers: [Result<[UInt8], GitFailure>]
    ) throws(DFSError) -> SurveyFindings {
        var reason = "git gave no answer"
        for answer in answers.reversed() { if case .failure(let failure) = answer { reason = failure.text } }
        let exclude = try Files.read(GitPlace.dataDirectory(of: top) + "/info/exclude", limit: 1 << 24) ?? []
        var findings = try PlainSurvey(options: options, depth: depth).survey(top, rules: [IgnoreRules(exclude)])
        findings.facts.gitFailure = reason
        findings.facts.notes.append(
            "git could not be asked: files that it tracks in spite of ignore rules may be left out, and its global "
                + "ignore file was not read")
        return findings
    }
}
