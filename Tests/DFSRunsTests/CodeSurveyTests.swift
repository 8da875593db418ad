import DFSModel
import DFSRuns
import DFSSystem
import Glibc
import Testing

@Suite struct CodeSurveyTests {
    private func survey(
        _ scratch: Scratch, _ directory: String = "repo", change: (inout CodeSurvey.Options) -> Void = { _ in }
    ) throws -> CodeSurvey {
        var options = CodeSurvey.Options(environment: scratch.environment)
        change(&options)
        return try CodeSurvey.survey(root: scratch.path + "/" + directory, options: options)
    }

    /// A repository with two commits of a few files.
    private func repository(_ name: String = "repo") throws -> Scratch {
        let scratch = try Scratch()
        try scratch.shell(
            """
            git init -q \(name); cd \(name); mkdir -p src/deep
            echo one > src/one.py; echo two > src/deep/two.py; echo read > README
            git add .; git commit -qm first; echo more >> README; git commit -qam second
            """)
        return scratch
    }

    /// What a walk that asks the survey about every entry reads: files and symlinks.
    private func walked(_ survey: CodeSurvey) throws -> Set<[UInt8]> {
        var out = Set<[UInt8]>()
        func walk(_ directory: OwnedDescriptor, _ path: [UInt8], _ node: ExclusionTree.Node?) throws {
            for name in try DirectoryListing.names(of: directory) {
                let full = path + name
                let status = try #require(try FileStatus.of(name, at: directory.raw))
                let components = full.split(separator: 0x2f).map { Array($0) }
                let should = survey.exclusions.shouldVisit(components, isDirectory: status.kind == .directory)
                guard case .visit(let below) = ExclusionTree.verdict(node, name) else {
                    #expect(!should)
                    continue
                }
                #expect(should)
                if status.kind == .directory {
                    let inner = try OwnedDescriptor.open(bytes: name, O_RDONLY | O_DIRECTORY, at: directory.raw)
                    try walk(inner, full + [0x2f], below)
                } else {
                    out.insert(full)
                }
            }
        }
        try walk(try OwnedDescriptor.open(survey.root, O_RDONLY | O_DIRECTORY), [], survey.exclusions.root)
        return out
    }

    /// What git would keep of the work tree: tracked and there, or untracked and not ignored.
    private func keptByGit(_ scratch: Scratch, _ directory: String = "repo") throws -> Set<[UInt8]> {
        let listed = try scratch.shell(
            "cd '\(directory)'; git ls-files -z --cached --others --exclude-standard --deduplicate")
        let paths = listed.split(separator: 0).map { Array($0) }
        let top = try OwnedDescriptor.open(scratch.path + "/" + directory, O_RDONLY | O_DIRECTORY)
        return Set(
            try paths.filter { path in
                guard let status = try FileStatus.of(path, at: top.raw) else { return false }
                return status.kind != .directory
            })
    }

    /// Everything under the repository's data: names, sizes, contents, modes and times.
    private func digestOfGit(_ scratch: Scratch, _ directory: String = "repo") throws -> [UInt8] {
        try scratch.shell(
            """
            cd "$(git -C '\(directory)' rev-parse --path-format=absolute --git-common-dir)"
            find . -printf '%p %m %s %T@\\n' | sort; find . -type f -exec sha256sum {} + | sort
            """)
    }

    private func check(_ scratch: Scratch, _ directory: String = "repo") throws -> CodeSurvey {
        let before = try digestOfGit(scratch, directory)
        let result = try survey(scratch, directory)
        #expect(try digestOfGit(scratch, directory) == before)
        #expect(try walked(result) == keptByGit(scratch, directory))
        #expect(result.root == scratch.path + "/" + directory)
        #expect(result.facts.gitFailure == nil)
        #expect(result.facts.json.empties() == [])
        return result
    }

    private func reasons(_ survey: CodeSurvey) -> [String: ExcludedPath.Reason] {
        Dictionary(uniqueKeysWithValues: survey.excluded.map { (NameText.display($0.path), $0.reason) })
    }

    // MARK: states of a repository

    @Test func clean() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; git remote add origin https://me:secret@example.com/a/b.git
            git remote add other git@example.com:a
            """
        )
        let result = try check(scratch)
        let facts = try #require(result.facts.repository)
        let head = String(decoding: try scratch.shell("git -C repo rev-parse HEAD").dropLast(), as: UTF8.self)
        #expect(facts.head == head)
        #expect(facts.branch == "main")
        #expect(facts.remotes.map(\.name) == ["origin", "other"])
        #expect(facts.remotes.map(\.url) == ["https://example.com/a/b.git", "git@example.com:a"])
        #expect((facts.modified, facts.staged, facts.untracked, facts.unmerged) == (0, 0, 0, 0))
        #expect(facts.inProgress.isEmpty && !facts.isLinked)
        #expect(reasons(result) == [".git": .git])
        #expect(!result.facts.json.canonicalText.contains("secret"))
        // From a directory inside, the same tree is captured.
        #expect(try survey(scratch, "repo/src/deep").root == result.root)
    }

    /// Files whose stat data no longer match the index are what a `git status` with locks would refresh it for.
    @Test func modifiedAndTouched() throws {
        let scratch = try repository()
        try scratch.shell(
            "cd repo; echo changed > src/one.py; touch -d '2001-01-01' README; git stash list; sleep 0.01")
        let facts = try #require(try check(scratch).facts.repository)
        #expect((facts.modified, facts.staged, facts.deleted) == (1, 0, 0))
    }

    @Test func stagedWithAStash() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; echo x > README; git stash -q; echo y > new.py; git add new.py; echo z >> new.py
            echo w > src/one.py; git add .; rm new.py
            """
        )
        let facts = try #require(try check(scratch).facts.repository)
        #expect((facts.modified, facts.staged, facts.deleted) == (1, 2, 1))
    }

    @Test func untracked() throws {
        let scratch = try repository()
        try scratch.shell("cd repo; mkdir -p new/dir; touch new/dir/a new/b c; ln -s nowhere dangling; mkdir empty")
        let facts = try #require(try check(scratch).facts.repository)
        #expect(facts.untracked == 4)
    }

    @Test func ignored() throws {
        let scratch = try repository()
        try scratch.shell(
            #"""
            cd repo; printf '*.log\n/data/\n__pycache__/\nkept/\n' > .gitignore
            printf '!keep.log\nlocal\n' > src/.gitignore
            mkdir -p data/x src/__pycache__ kept src/local
            touch data/x/1 a.log src/b.log src/keep.log src/__pycache__/m.pyc
            touch kept/tracked kept/not src/local/f src/deep/old.pyc; echo '*.secret' > .git/info/exclude
            touch my.secret
            git add -f kept/tracked; git add .gitignore src/.gitignore; git commit -qm more
            """#)
        let result = try check(scratch)
        #expect(
            reasons(result) == [
                ".git": .git, "a.log": .ignored, "data": .ignored, "kept/not": .ignored, "my.secret": .ignored,
                "src/__pycache__": .ignored, "src/b.log": .ignored, "src/local": .ignored,
            ])
        #expect(result.excluded.first { $0.path.elementsEqual("data".utf8) }?.isDirectory == true)
        let names = result.excluded.filter { !$0.isPythonCache }.map { NameText.display($0.path) }
        #expect(!names.contains("src/__pycache__") && names.contains("data"))
        #expect(!result.exclusions.shouldVisit([Array("data".utf8), Array("x".utf8)], isDirectory: true))
    }

    @Test func deletedFile() throws {
        let scratch = try repository()
        try scratch.shell("cd repo; rm src/one.py")
        let facts = try #require(try check(scratch).facts.repository)
        #expect((facts.modified, facts.deleted) == (1, 1))
    }

    @Test func detachedHead() throws {
        let scratch = try repository()
        try scratch.shell("cd repo; git checkout -q --detach HEAD~1")
        let facts = try #require(try check(scratch).facts.repository)
        #expect(facts.branch == nil)
        #expect(facts.json["branch"]?["none"] != nil)
    }

    @Test func beforeTheFirstCommit() throws {
        let scratch = try Scratch()
        try scratch.shell("git init -q repo; touch repo/a")
        let facts = try #require(try check(scratch).facts.repository)
        #expect(facts.head == nil && facts.branch == "main" && facts.untracked == 1)
    }

    @Test func mergeInProgress() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; git checkout -qb side HEAD~1; echo side > README; git commit -qam side; git checkout -q main
            git merge -q side > /dev/null 2>&1 || true; test -f .git/MERGE_HEAD
            """)
        let facts = try #require(try check(scratch).facts.repository)
        #expect(facts.inProgress == ["merge"])
        #expect(facts.unmerged == 1)
    }

    @Test func rebaseInProgress() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; git checkout -qb side HEAD~1; echo side > README; git commit -qam side
            git rebase main > /dev/null 2>&1 || true; test -d .git/rebase-merge
            """)
        let facts = try #require(try check(scratch).facts.repository)
        #expect(facts.inProgress == ["rebase"])
    }

    @Test func linkedWorktree() throws {
        let scratch = try repository("main")
        try scratch.shell("cd main; git worktree add -q ../repo -b other; echo x > ../repo/new")
        let result = try check(scratch)
        let facts = try #require(result.facts.repository)
        #expect(facts.isLinked && facts.branch == "other" && facts.untracked == 1)
        #expect(result.excluded == [ExcludedPath(path: Array(".git".utf8), isDirectory: false, reason: .git)])
    }

    @Test func strangeNames() throws {
        let scratch = try repository()
        let names: [[UInt8]] = [
            Array("new\nline".utf8), [0x62, 0xff, 0xfe], Array("quote\"tab\t".utf8), Array(" lead".utf8),
            Array("-dash".utf8),
            Array("ig\nnored.log".utf8), [0xff, 0x2e, 0x6c, 0x6f, 0x67], Array("e\u{301}".utf8), Array("\u{e9}".utf8),
        ]
        for name in names { try scratch.write(Array("repo/".utf8) + name, [1]) }
        try scratch.write("repo/.gitignore", "*.log\n")
        let result = try check(scratch)
        #expect(result.facts.repository?.untracked == names.count - 1)
        #expect(Set(result.excluded.map(\.path)) == [Array(".git".utf8), names[5], names[6]])
    }

    // MARK: repositories in repositories

    @Test func submodules() throws {
        let scratch = try repository()
        try scratch.shell(
            #"""
            git init -q sub; cd sub; echo '*.tmp' > .gitignore; echo s > s.py; git add .; git commit -qm sub; cd ..
            cd repo; git submodule -q add ../sub libs/sub; git submodule -q add ../sub gone; git commit -qm subs
            echo x > libs/sub/a.tmp; echo y > libs/sub/extra.py; echo z >> libs/sub/s.py
            git submodule -q deinit -f gone
            """#)
        let before = try digestOfGit(scratch)
        let result = try survey(scratch)
        #expect(try digestOfGit(scratch) == before)
        var expected = try keptByGit(scratch)
        for path in try keptByGit(scratch, "repo/libs/sub") { expected.insert(Array("libs/sub/".utf8) + path) }
        #expect(try walked(result) == expected)
        #expect(expected.contains(Array("libs/sub/extra.py".utf8)))
        #expect(reasons(result)["libs/sub/a.tmp"] == .ignored)
        #expect(reasons(result)["libs/sub/.git"] == .git)
        let nested = result.facts.nested
        #expect(nested.map(\.isSubmodule) == [true, true])
        let sub = try #require(nested.first { $0.path.elementsEqual("libs/sub".utf8) })
        #expect(sub.facts?.modified == 1 && sub.facts?.untracked == 1)
        #expect(nested.first { $0.path.elementsEqual("gone".utf8) }?.failure == "the submodule is not initialised")
    }

    @Test func anUntrackedRepositoryInside() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; git init -q inner; cd inner; echo '*.o' > .gitignore; touch a.o b.c; git add .
            git commit -qm i; touch c.c
            """
        )
        let result = try survey(scratch)
        var expected = try keptByGit(scratch).filter { !$0.starts(with: Array("inner".utf8)) }
        for name in [".gitignore", "b.c", "c.c"] { expected.insert(Array("inner/\(name)".utf8)) }
        #expect(try walked(result) == expected)
        #expect(result.facts.nested.map(\.isSubmodule) == [false])
        #expect(result.facts.nested.first?.facts?.untracked == 1)
    }

    // MARK: .dfsignore

    @Test func dfsIgnoreOverGit() throws {
        let scratch = try repository()
        try scratch.shell(
            #"""
            cd repo; printf '*.csv\ncache/\n.dfsignore\n' > .gitignore; mkdir -p data cache
            touch data/a.csv data/b.csv big.bin
            touch cache/c src/x.tmp; printf '!b.csv\nbig.bin\n/src/deep\n' > .dfsignore; echo '*.tmp' > src/.dfsignore
            git add -f big.bin; git commit -qm big
            """#)
        let result = try survey(scratch)
        #expect(
            reasons(result) == [
                ".git": .git, "big.bin": .dfsIgnored, "cache": .ignored, "data/a.csv": .ignored,
                "src/deep": .dfsIgnored,
                "src/x.tmp": .dfsIgnored,
            ])
        let names = Set(try walked(result).map { NameText.display($0) })
        #expect(names == [".dfsignore", ".gitignore", "README", "data/b.csv", "src/.dfsignore", "src/one.py"])
    }

    // MARK: outside git

    @Test func aPlainDirectory() throws {
        let scratch = try Scratch()
        try scratch.shell(
            #"""
            mkdir -p plain/sub/deep plain/out; cd plain; printf '*.log\n/out\n' > .gitignore
            printf '!keep.log\n*.bin\n' > .dfsignore
            touch a.py a.log keep.log sub/b.log sub/c.bin out/x; echo '!b.log' > sub/.gitignore
            head -c 5000 /dev/zero > sub/deep/large; head -c 4000 /dev/zero > sub/deep/small
            git init -q inner; echo '*.o' > inner/.gitignore; touch inner/x.o inner/y.c inner/z.bin inner/n.log
            """#)
        let result = try survey(scratch, "plain") { $0.maximumFileSize = 4096 }
        #expect(
            reasons(result) == [
                "a.log": .ignored, "inner/.git": .git, "inner/x.o": .ignored, "inner/z.bin": .dfsIgnored,
                "out": .ignored,
                "sub/c.bin": .dfsIgnored, "sub/deep/large": .tooLarge,
            ])
        #expect(result.excluded.first { $0.reason == .tooLarge }?.size == 5000)
        let names = Set(try walked(result).map { NameText.display($0) })
        #expect(
            names == [
                ".dfsignore", ".gitignore", "a.py", "inner/.gitignore", "inner/n.log", "inner/y.c", "keep.log",
                "sub/.gitignore", "sub/b.log", "sub/deep/small",
            ])
        #expect(result.facts.json["git"]?["none"] != nil)
        #expect(result.facts.nested.first?.facts != nil)
        #expect(result.facts.json.empties() == [])
    }

    @Test func anIgnoredDirectoryIsAProjectOfItsOwn() throws {
        let scratch = try repository()
        try scratch.shell("cd repo; echo /mine > .gitignore; mkdir -p mine/deep; touch mine/a")
        let result = try survey(scratch, "repo/mine")
        #expect(result.root == scratch.path + "/repo/mine")
        #expect(result.facts.repository == nil)
        #expect(result.facts.notes.count == 1)
        #expect(try walked(result) == [Array("a".utf8)])
    }

    @Test func largeUntrackedFilesOnRequest() throws {
        let scratch = try repository()
        try scratch.shell("cd repo; head -c 5000 /dev/zero > large; head -c 5000 /dev/zero > tracked; git add tracked")
        #expect(try walked(survey(scratch)).contains(Array("large".utf8)))
        let result = try survey(scratch) { $0.maximumUntrackedFileSize = 4999 }
        #expect(reasons(result) == [".git": .git, "large": .tooLarge])
    }

    // MARK: git that fails

    @Test func withoutGitTheIgnoreFilesSpeak() throws {
        let scratch = try repository()
        try scratch.shell(
            """
            cd repo; echo '*.log' > .gitignore; touch a.log b.py; echo '*.secret' > .git/info/exclude
            touch c.secret; mkdir ../bin
            """
        )
        let expected = try keptByGit(scratch)
        scratch.environment["PATH"] = scratch.path + "/bin"
        let missing = try survey(scratch)
        #expect(missing.facts.gitFailure == "git cannot be run: not found in PATH")
        #expect(try walked(missing) == expected)
        try scratch.write("bin/git", "#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n")
        try #require(chmod(scratch.path + "/bin/git", 0o755) == 0)
        let broken = try survey(scratch)
        #expect(broken.facts.gitFailure == "git status: fatal: detected dubious ownership")
        #expect(broken.facts.json["git"]?["unknown"]?.string == broken.facts.gitFailure)
        #expect(reasons(broken) == [".git": .git, "a.log": .ignored, "c.secret": .ignored])
    }

    /// A `.git` that is none must not make the repository around it answer.
    @Test func aBrokenRepositoryIsNotItsSurroundings() throws {
        let scratch = try repository()
        try scratch.shell("mkdir -p repo/inner/.git; touch repo/inner/a; echo inner > repo/.gitignore")
        let result = try survey(scratch, "repo/inner")
        #expect(result.root == scratch.path + "/repo/inner")
        #expect(result.facts.gitFailure?.contains("not a git repository") == true)
    }

    /// Nothing that the repository's configuration names is started.
    @Test func noHookOrMonitorRuns() throws {
        let scratch = try repository()
        try scratch.write("trap", "#!/bin/sh\ntouch '\(scratch.path)/sprung'\n")
        try scratch.shell(
            """
            chmod +x trap; cd repo; git config core.fsmonitor ../trap; git config core.pager ../trap
            for hook in post-index-change fsmonitor-watchman; do cp ../trap .git/hooks/$hook; done; touch README
            """)
        scratch.environment["GIT_TRACE2"] = scratch.path + "/trace"
        scratch.environment["GIT_DIR"] = "/nowhere"
        let result = try survey(scratch)
        #expect(result.facts.gitFailure == nil)
        #expect(!Files.exists(scratch.path + "/sprung"))
        #expect(!Files.exists(scratch.path + "/trace"))
    }

    @Test func aMissingDirectoryIsAnError() throws {
        let scratch = try Scratch()
        #expect(throws: DFSError.self) { try survey(scratch, "nothing") }
    }
}
