import DFSHistory
import DFSModel
import DFSRemote
import DFSStore
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

extension PlayWithMounts {
    /// Secrets that would be recorded, as users leave them lying about.
    @Suite struct SecretPlayTests {
        private let stage: Stage

        init() throws { stage = try Stage() }

        /// All bytes of the store: its files as they are, and every object of its packs as it was before it was compressed.
        private func everything() throws -> [[UInt8]] {
            let repository = try Repository.open(at: stage.store, cacheRoot: stage.directory.sub("look"))
            var all = [[UInt8]]()
            let files = try stage.shell("find store -type f -print0 | xargs -0 ls -d").split(separator: "\n")
            for file in files {
                all.append(try #require(try Files.read(stage.directory.sub(String(file)))))
            }
            for key in try repository.backend.list("packs/") where key.hasSuffix(".idx") {
                let hex = try #require(key.split(separator: "/").last).dropLast(4)
                let index = try repository.objects.readIndex(PackID(try #require(Digest(hex: hex))))
                for number in 0..<index.count { all.append(try repository.objects.read(index[number], of: index.id)) }
            }
            #expect(all.count > files.count)
            return all
        }

        private func holders(of secret: String, in all: [[UInt8]]) -> Int {
            let needle = Array(secret.utf8)
            return all.count { bytes in
                bytes.withUnsafeBytes { raw in
                    guard let base = raw.baseAddress, raw.count >= needle.count else { return false }
                    var here = 0
                    let last = raw.count - needle.count
                    while here <= last, let next = memchr(base + here, Int32(needle[0]), last - here + 1) {
                        here = base.distance(to: UnsafeRawPointer(next))
                        if memcmp(base + here, needle, needle.count) == 0 { return true }
                        here += 1
                    }
                    return false
                }
            }
        }

        private func refused(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws -> String {
            let before = try stage.shell("find store -type f | grep -v /keys/ | sort")
            let result = try stage.start("dfs-run", arguments).wait()
            #expect(result.code == 122, "\(result.errorText)", sourceLocation: location)
            #expect(result.outputText.isEmpty, sourceLocation: location)
            #expect(result.errorText.split(separator: "\n").count == 3, "\(result.errorText)", sourceLocation: location)
            #expect(result.errorText.contains("--allow-secrets"), sourceLocation: location)
            // Nothing was stored, let alone recorded.
            #expect(try stage.shell("find store -type f | grep -v /keys/ | sort") == before, sourceLocation: location)
            return result.errorText
        }

        @Test func aSecretStopsTheRunBeforeAnythingIsStored() throws {
            try stage.directory.write("project/sub/config.py", "a = 1\n\nKEY = '\(Canary.gitHub)'\n")
            try stage.directory.write("project/more.py", "print('much code')\n")
            let text = try refused("--", "true")
            #expect(text.contains("sub/config.py:3: github-token (ghp_…)"), "\(text)")
            #expect(!text.contains(Canary.gitHub.dropFirst(5)))
            let scan = try stage.dfs("code", "scan")
            #expect(scan.code == 1 && scan.outputText.contains("sub/config.py:3"), "\(scan.outputText)")
            let snapshot = try stage.dfs("code", "snapshot")
            #expect(snapshot.code == 2 && snapshot.errorText.contains("sub/config.py:3"))
        }

        @Test func allAreNamed() throws {
            try stage.directory.write("project/.env", "DB_PASSWORD=hx7!kq9z\n")
            try stage.directory.write("project/a.ipynb", "{\"source\": [\"k = \\\"\(Canary.gitHub)\\\"\\n\"]}\n")
            try stage.directory.write("project/id_rsa", Canary.privateKey)
            let text = try refused("--", "true")
            for place in [".env:1: password-assignment", "a.ipynb:1: github-token", "id_rsa:1: private-key"] {
                #expect(text.contains(place), "\(text)")
            }
        }

        @Test func waivers() throws {
            try stage.directory.write("project/a.py", "key = '\(Canary.gitHub)'  # dfs:allow-secret\n")
            #expect(try stage.launch("--", "true").code == 0)
            try stage.directory.write("project/tests/b.pem", Canary.privateKey)
            _ = try refused("--", "true")
            try stage.directory.write("project/dfs.toml", "[run]\nallow-secrets = [\"tests/*.pem\"]\n")
            #expect(try stage.launch("--", "true").code == 0)
            try stage.directory.write("project/c.py", "token = '\(Canary.random(32, seed: 31))'\n")
            _ = try refused("--", "true")
            #expect(try stage.launch("--allow-secrets", "of a test account", "--", "true").code == 0)
            let record = try stage.json("cat", "run:latest/record.json")
            #expect(record["text"]?["allow-secrets"] == "of a test account")
            // What is in the store already is not in anybody's way again, and nothing is read anew.
            #expect(try stage.launch("--", "true").code == 0)
            let log = try stage.done("code", "log").split(separator: "\n")
            #expect(log.count == 4, "\(log)")
        }

        /// What is said in words is recorded as well; of a snapshot's reason nothing can be redacted.
        @Test func reasonsAndNotes() throws {
            let secret = "the key is \(Canary.gitHub)"
            try stage.directory.write("project/a.py", "print(1)\n")
            for command in [["snapshot"], ["watch"]] {
                let result = try stage.start("dfs", ["code"] + command + ["--allow-secrets", secret]).wait()
                #expect(
                    result.code == 2 && result.errorText.contains("--allow-secrets: github-token"),
                    "\(result.errorText)")
                #expect(result.errorText.split(separator: "\n").count == 3 && !result.errorText.contains(Canary.gitHub))
            }
            #expect(try refused("--allow-secrets", secret, "--", "true").contains("--allow-secrets: github-token"))
            #expect(try refused("--note", secret, "--", "true").contains("--note: github-token"))
            #expect(try stage.launch("--", "true").code == 0)
            let note = try stage.dfs("note", "latest", secret)
            #expect(note.code == 2 && note.errorText.contains("the note: github-token"), "\(note.errorText)")
            #expect(try stage.done("note", "latest", "good").contains("has a note"))
            #expect(holders(of: Canary.gitHub, in: try everything()) == 0)
            try stage.directory.write("project/b.py", "k = '\(Canary.gitHub)'\n")
            try stage.done("code", "snapshot", "--allow-secrets", "of a test account")
            let log = try stage.json("code", "log", "-n", "1")
            let record = try stage.json("show", try #require(log["reference"]?.string))["record"]
            #expect(record?["secrets"]?["reason"] == "of a test account")
        }

        @Test func argumentsAndVariables() throws {
            let random = Canary.random(32, seed: 32)
            let text = try refused("--", "echo", "--api-key", random)
            #expect(text.contains("argument 2: secret-assignment (\(random.prefix(4))…)"), "\(text)")
            try stage.directory.write("project/dfs.toml", "[run]\nenv = [\"LR\", \"MY_TOKEN\"]\n")
            let result = try stage.start("dfs-run", ["--", "true"], variables: ["MY_TOKEN": random]).wait()
            #expect(result.code == 122 && result.errorText.contains("variable MY_TOKEN"), "\(result.errorText)")
            let waived = try stage.start(
                "dfs-run", ["--allow-secrets", "play", "--", "sh", "-c", "echo $2", "sh", "--token", random],
                variables: ["MY_TOKEN": random, "LR": "0.1", "OTHER": "hidden-value"]
            ).wait()
            #expect(waived.code == 0 && waived.outputText == random + "\n", "\(waived.errorText)")
            let record = try stage.json("cat", "run:latest/record.json")
            #expect(record["text"]?["arguments"]?.array?.last == "[redacted: secret-assignment]")
            #expect(record["plan"]?["secrets"]?["arguments"]?.array?.first?["rule"] == "secret-assignment")
            // Beside what is named: where programs are looked for.
            #expect(record["text"]?["environment"] == ["LR": "0.1", "PATH": "/usr/bin:/bin"])
            #expect(record["plan"]?["environment"]?["OTHER"]?["hmac"] != nil)
            #expect(record["plan"]?["environment"]?["LR"]?["value"] == nil)
            // What is not recorded cannot be given again.
            let again = try stage.start(
                "dfs", ["rerun", "run:latest"], variables: ["MY_TOKEN": random, "LR": "0.1", "OTHER": "hidden-value"]
            ).wait()
            #expect(again.code == 122 && again.errorText.contains("held secrets"), "\(again.errorText)")
            let all = try everything()
            #expect(holders(of: "hidden-value", in: all) == 0)
        }

        /// Canaries in the environment, the arguments, dot-files, a notebook and the output: none is in the store but what the
        /// job wrote, and that is reported.
        @Test func canaries() throws {
            let canaries = (0..<6).map { Canary.random(32, seed: UInt64(40 + $0)) }
            try stage.shell("git init -q", in: stage.project)
            try stage.directory.write("project/.gitignore", ".env\n.aws/\n")
            try stage.directory.write("project/.env", "API_KEY=\(canaries[0])\n")
            try stage.directory.write("project/.aws/credentials", "aws_secret_access_key = \(canaries[1])\n")
            try stage.directory.write("project/a.ipynb", "{\"source\": [\"api_key = '\(canaries[2])'\\n\"]}\n")
            try stage.directory.write("project/train.py", "print(1)\n")
            _ = try refused("--", "true")
            try stage.directory.write("project/a.ipynb", "{\"source\": [\"print()\\n\"]}\n")
            _ = try refused("--", "echo", "--password=\(canaries[3])")
            let result = try stage.start(
                "dfs-run",
                [
                    "--allow-secrets", "play", "--", "sh", "-c",
                    "cat .env > /dev/null; echo \"token: '$SPOKEN'\"; echo \"secret = '$SPOKEN'\" > notes.txt", "sh",
                    "--password=\(canaries[3])",
                ],
                variables: ["AWS_SECRET_ACCESS_KEY": canaries[4], "SPOKEN": canaries[5]]
            ).wait()
            #expect(result.code == 0)
            #expect(result.errorText.contains("logs/stdout:1: secret-assignment"), "\(result.errorText)")
            let record = try stage.json("cat", "run:latest/record.json")
            let found = record["result"]?["secrets"]?["found"]?.array ?? []
            #expect(found.compactMap { $0["path"]?.string } == ["logs/stdout", "work/notes.txt"])
            let all = try everything()
            for canary in canaries.dropLast() { #expect(holders(of: canary, in: all) == 0, "\(canary)") }
            #expect(holders(of: canaries[5], in: all) > 0)
        }

        /// A module from outside the project is copied after it was imported; one with a secret in it is not.
        @Test(.enabled(if: Files.exists("/usr/bin/python3"))) func modulesFromOutside() throws {
            let canary = Canary.random(32, seed: 60)
            try stage.directory.write("outside/plain.py", "value = 'plain-module'\n")
            try stage.directory.write("outside/secretive.py", "api_key = '\(canary)'\n")
            let result = try stage.start(
                "dfs-run", ["--", "/usr/bin/python3", "-c", "import plain, secretive; print(plain.value)"],
                variables: ["PYTHONPATH": stage.directory.sub("outside")]
            ).wait()
            #expect(result.code == 0 && result.outputText == "plain-module\n", "\(result.errorText)")
            #expect(holders(of: canary, in: try everything()) == 0)
        }

        @Test func picturesOfNotebooksStopNothing() throws {
            let image = Canary.letters(200_000, Canary.all + "+/", seed: 50)
            try stage.directory.write(
                "project/a.ipynb", "{\"outputs\": [{\"data\": {\"image/png\": \"\(image)\\n\"}}]}\n")
            #expect(try stage.launch("--", "true").code == 0)
        }
    }
}
