import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem
import DFSTestSupport
import Testing

/// A snapshot is the work tree less what is listed as left out, whatever state git is in, and git's own files stay as they are.
@Suite struct CodeStatePlayTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    private static let variables = [
        "GIT_CONFIG_COUNT": "4", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "A",
        "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "a@example.com",
        "GIT_CONFIG_KEY_2": "protocol.file.allow", "GIT_CONFIG_VALUE_2": "always",
        "GIT_CONFIG_KEY_3": "init.defaultBranch", "GIT_CONFIG_VALUE_3": "main", "LC_ALL": "C",
    ]

    private func shell(_ script: String) throws -> String {
        let result = try stage.start(
            "/bin/bash", ["-ec", script], in: stage.directory.path, variables: Self.variables
        ).wait()
        try #require(result.code == 0, "\(script)\n\(result.errorText)")
        return result.outputText
    }

    /// Names, kinds, executable bits, link targets and contents, by path; without directories, which git does not know.
    private func listing(_ path: String) throws -> Set<String> {
        let files = try shell(
            #"cd '\#(path)'; find . -name .git -prune -o -type f -perm -100 -printf 'x %P\0' -o -type f -printf 'f %P\0' -o -type l -printf 'l %P -> %l\0' | tr '\n\0' '\1\n'"#
        )
        let sums = try shell(
            #"cd '\#(path)'; find . -name .git -prune -o -type f -print0 | xargs -0r sha256sum -z | tr '\n\0' '\1\n'"#)
        return Set((files + sums).split(separator: "\n").map(String.init))
    }

    @Test(arguments: RepositoryState.all) func aSnapshotIsTheWorkTree(_ state: RepositoryState) throws {
        _ = try shell(state.script)
        let root = stage.directory.sub(state.project)
        let data = stage.directory.sub(state.data)
        let before = (try stage.fingerprint(data), try stage.fingerprint(root))
        let result = try stage.dfs("code", "snapshot", root, "--json")
        try #require(result.code == 0, "\(result.errorText)")
        #expect(try stage.fingerprint(data) == before.0, "git's own files")
        #expect(try stage.fingerprint(root) == before.1, "the work tree")
        let project = state.project
        try stage.done("export", "code:" + project, stage.directory.sub("copy"))
        // What is listed as left out goes from a copy of the work tree; then the two are the same.
        let record = try #require(try codeRecord())
        var left = try shell("cp -a '\(root)' expected; rm -rf expected/.git; echo")
        for path in record["left-out"]?.array ?? [] {
            let name = try #require(path["path"]?.string.flatMap { NameText.decode($0) })
            left = String(decoding: name, as: UTF8.self)
            _ = try shell("rm -rf 'expected/\(left)'")
        }
        #expect(try listing(stage.directory.sub("copy")) == listing(stage.directory.sub("expected")))
        for (path, text) in state.holds {
            #expect(try stage.text(stage.directory.sub("copy/" + path)) == text, "\(path)")
        }
        for (name, value) in state.facts {
            let found = name.split(separator: ".").reduce(record["git"]?["git"]) { $0?[String($1)] }
            #expect(found?.canonicalText == value, "\(name): \(record["git"]?.canonicalText ?? "")")
        }
        // Once more: the same snapshot.
        #expect(try stage.json("code", "snapshot", root)["new"] == false)
    }

    /// What was recorded of the latest snapshot.
    private func codeRecord() throws -> JSONValue? {
        let repository = try Repository.open(at: stage.store, cacheRoot: stage.directory.sub("look"))
        guard let snapshot = try repository.state().projects.values.first?.latest else { return nil }
        return try repository.objects.json(snapshot.record.record, what: "the record")
    }

    @Test func thereAreAtLeastFifteen() {
        #expect(RepositoryState.all.count >= 15)
        #expect(Set(RepositoryState.all.map(\.name)).count == RepositoryState.all.count)
    }
}
