import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct SecretScannerTests {
    private func rules(_ text: String, settings: Bool = false) -> [String] {
        SecretScanner.scan(Array(text.utf8), asSettings: settings).map(\.rule.rawValue)
    }

    private static let tokens: [(SecretRule, String)] = [
        (.awsAccessKey, Canary.aws), (.gitHubToken, Canary.gitHub),
        (.gitHubToken, "github" + "_pat_" + Canary.random(22) + "_" + Canary.random(59, seed: 2)),
        (.gitLabToken, "glpat" + "-" + Canary.random(20)),
        (.slackToken, "xox" + "b-" + Canary.letters(12, "3579024") + "-" + Canary.random(24)),
        (
            .slackWebhook,
            "https://hooks.slack.com/services" + "/T" + Canary.letters(8, Canary.upper + "29")
                + "/B" + Canary.letters(8, Canary.upper + "29", seed: 4) + "/" + Canary.random(24)
        ),
        (.stripeKey, "sk" + "_live_" + Canary.random(24)), (.stripeKey, "rk" + "_live_" + Canary.random(99)),
        (.openAIKey, "sk" + "-proj-" + Canary.random(74) + "T3Blbk" + "FJ" + Canary.random(74, seed: 2)),
        (.openAIKey, "sk" + "-" + Canary.random(20) + "T3Blbk" + "FJ" + Canary.random(20, seed: 2)),
        (.openRouterKey, "sk" + "-or-v1-" + Canary.hex(64)),
        (.anthropicKey, "sk" + "-ant-api03-" + Canary.random(93) + "AA"),
        (.huggingFaceToken, "hf" + "_" + Canary.letters(34, Canary.upper + Canary.lower)),
        (.npmToken, "npm" + "_" + Canary.random(36)),
        (.pypiToken, "pypi" + "-AgEIcHlwaS5vcmc" + Canary.random(120)),
        (.googleKey, "AI" + "za" + Canary.random(35)), (.googleToken, "ya29" + "." + Canary.random(80)),
        (.nvidiaKey, "nvapi" + "-" + Canary.random(64)),
        (.sendGridKey, "SG" + "." + Canary.random(22) + "." + Canary.random(43, seed: 2)),
        (.databricksToken, "dapi" + Canary.hex(32)), (.jsonWebToken, Canary.webToken),
    ]

    /// By its form, wherever it stands: with quotes and without, in a comment, a notebook, at the end of a file.
    @Test func tokens() {
        for (rule, token) in Self.tokens {
            for text in [
                token, "x = \"\(token)\"\n", "# use \(token) here\n", "call('\(token)')", "{\"a\":\"b\\n\(token)\\n\"}",
                "curl -H 'X: \(token)'\n", "K=\(token)\n",
            ] {
                #expect(rules(text) == [rule.rawValue], "\(rule): \(text)")
            }
            // Not as a part of a longer word.
            if rule != .slackWebhook { #expect(rules("x = \"aa\(token)\"") == [], "\(rule)") }
        }
    }

    @Test func privateKeys() {
        #expect(rules("a\n" + Canary.privateKey) == ["private-key"])
        let inJSON = Canary.privateKey.split(separator: "\n").joined(separator: "\\n")
        #expect(rules("{\"key\": \"\(inJSON)\\n\"}") == ["private-key"])
        let inProgram = Canary.privateKey.split(separator: "\n").map { "    \"\($0)\\n\"\n" }.joined()
        #expect(rules("key = (\n\(inProgram))\n") == ["private-key"])
        // A program that knows the line has no key.
        #expect(rules("if line == '-----BEGIN RSA PRIV" + "ATE KEY-----':\n    return load(line)\n") == [])
        #expect(rules("-----BEGIN PUBLIC KEY-----\n" + Canary.random(64) + "\n") == [])
    }

    @Test func assignments() {
        let random = Canary.random(32, seed: 11), hex = Canary.hex(40, seed: 11)
        for text in [
            "api_key = \"\(random)\"", "API_KEY: str = '\(random)'", "{\"apiKey\": \"\(random)\"}",
            "client_secret='\(random)',", "os.environ[\"MY_TOKEN\"] = \"\(random)\"",
            "os.environ.setdefault('AUTH_TOKEN', '\(random)')", "const accessToken = `\(random)`;",
            "\"source\": [\"api_key = \\\"\(random)\\\"\\n\"]", "wandb_api_key := \"\(hex)\"", "secret=>'\(hex)'",
            "export AWS_SECRET_ACCESS_KEY=\(random)", "x = f(secret_key=b'\(random)')",
        ] {
            #expect(rules(text) == ["secret-assignment"], "\(text)")
        }
        for text in [
            "password = \"hx7!kq9z\"", "DB_PASSWORD: 'Sommer2024!'", "{\"passwd\": \"trub4dor&3\"}", "pwd='k3y8board'",
        ] {
            #expect(rules(text) == ["password-assignment"], "\(text)")
        }
    }

    @Test func keysOfWebFrameworks() {
        let key = Canary.letters(50, "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)", seed: 15)
        #expect(rules("SECRET_KEY = '\(key)'") == ["secret-assignment"])
        #expect(rules("SECRET_KEY = 'django-insecure-\(key)'") == [])
    }

    @Test func settingsNeedNoQuotes() {
        let random = Canary.random(32, seed: 12)
        for text in ["API_KEY=\(random)\n", "  token: \(random)\n", "secret_key = \(random)  # mine\n"] {
            #expect(rules(text, settings: true) == ["secret-assignment"], "\(text)")
            #expect(rules(text) == [], "\(text)")
        }
        #expect(rules("DB_PASSWORD=hx7!kq9z\n", settings: true) == ["password-assignment"])
        #expect(rules("//registry.npmjs.org/:_authToken=\(random)\n", settings: true) == ["secret-assignment"])
    }

    /// `pass`, `auth` and `creds` are parts of many other words, and names of much else.
    @Test func shortNames() {
        let random = Canary.random(32, seed: 17), login = Base64.encode(Array("robot:hx7!kq9z".utf8))
        for text in [
            "DB_PASS=hx7!kq9z\n", "SMTP_PASS=sommer2024\n", "  pass: hx7!kq9z\n", "export DB_PASS=\(random)\n",
        ] {
            #expect(rules(text, settings: true) == ["password-assignment"], "\(text)")
        }
        for text in ["db_pass = 'hx7!kq9z'", "{\"dbPass\": \"Sommer2024\"}", "pass='\(random)'"] {
            #expect(rules(text) == ["password-assignment"], "\(text)")
        }
        for text in [
            "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"\(login)\"}}}", "creds = '\(random)'",
            "auth = \"\(random)\"", "dbCreds: '\(login)'",
        ] {
            #expect(rules(text) == ["secret-assignment"], "\(text)")
        }
        #expect(rules("_auth=\(login)\n", settings: true) == ["secret-assignment"])
        for text in [
            "bypass = 'hx7!kq9z'", "oauth = \"\(random)\"", "compass: 'north-by-2024x'", "first_pass = 'stage-two-2'",
            "pass = 'simplify-cfg2'", "auth = 'requests.auth.HTTPBasicAuth2'", "passed = 'Sommer2024'",
            "auth = \"\(Base64.encode(Array("username:password".utf8)))\"", "author = '\(random)'",
            "auth_type = '\(random)'", "creds = 'projects/12345/secrets/one'", "pass = 'changeme123'",
        ] {
            #expect(rules(text) == [], "\(text)")
        }
    }

    /// Files that hold nothing but secrets, and have a form of their own.
    @Test func filesOfSecrets() throws {
        let scratch = try Scratch()
        func found(_ name: String, _ text: String) throws -> [String] {
            try scratch.write(name, text)
            let file = try OwnedDescriptor.open(scratch.path + "/" + name, O_RDONLY)
            return try SecretFile.scan(file, name: Array(("home/" + name).utf8), size: UInt64(text.utf8.count)).map {
                "\($0.finding.line): \($0.finding.rule.rawValue)"
            }
        }
        let netrc =
            "machine a.intern login me password hx7kq9z\nmachine b.intern\n  login me\n  password\n\tstrawberry\n"
        #expect(try found(".netrc", netrc) == ["1: password-assignment", "5: password-assignment"])
        #expect(try found("_netrc", netrc).count == 2)
        #expect(try found("notes.txt", netrc) == [])
        #expect(try found(".netrc", "default login anonymous password your-password\n") == [])
        let pgpass = "# host:port:db:user:secret\ndb.intern:5432:*:app:straw:berry\n[\\:\\:1]:*:*:me:kiwifruit\na:b:c\n"
        #expect(try found(".pgpass", pgpass) == ["2: password-assignment", "3: password-assignment"])
        #expect(try found("pgpass.conf", pgpass).count == 2)
        #expect(try found(".pgpass", "localhost:5432:db:user:${PASSWORD}\n") == [])
        let kaggle = "{\"username\":\"me\",\"key\":\"\(Canary.hex(32, seed: 18))\"}"
        #expect(try found("kaggle.json", kaggle) == ["1: kaggle-api-key"])
        #expect(try found("other.json", kaggle) == [])
    }

    /// However many lines are waived, the one that is not is found.
    @Test func waivedSecretsHideNone() throws {
        let scratch = try Scratch()
        var text = ""
        for seed in 0..<1100 {
            text += "TOKEN='\(Canary.random(32, seed: UInt64(seed) + 100))'  # gitleaks:allow\n"
            text += "k = '\(Canary.gitHub)'  # dfs:allow-secret\n"
        }
        text += "API_KEY='\(Canary.random(32, seed: 19))'\n"
        try scratch.write("many.py", text)
        let file = try OwnedDescriptor.open(scratch.path + "/many.py", O_RDONLY)
        let found = try SecretFile.scan(file, name: Array("many.py".utf8), size: UInt64(text.utf8.count))
        #expect(found.filter { !$0.isWaived }.map(\.finding.line) == [2201])
        #expect(found.count(where: \.isWaived) > 2000)
    }

    @Test func headersAndURLs() {
        let random = Canary.random(40, seed: 13)
        #expect(rules("curl -H \"Authorization: Bearer \(random)\"") == ["authorization-header"])
        #expect(rules("{'Authorization': 'token \(random)'}") == ["authorization-header"])
        #expect(rules("db = 'postgres://app:h7Gk2pQz@db.intern/x'") == ["url-credentials"])
        #expect(rules("redis://:h7Gk2pQz@cache:6379") == ["url-credentials"])
        #expect(rules("git clone https://me:\(Canary.gitHub)@github.com/a/b") == ["github-token"])
        for text in [
            "postgresql://scott:tiger@localhost/test", "http://user:password@host/", "ssh://git@github.com:22/a",
            "https://user:pass123@example.com", "mysql://root:${PASSWORD}@db", "http://a:8080/b@c",
        ] {
            #expect(rules(text) == [], "\(text)")
        }
    }

    @Test func placeholders() {
        for text in [
            "api_key = 'your-api-key-goes-here-0123'", "token = \"xxxxxxxxxxxxxxxxxxxxxxxx\"", "secret = '<token>'",
            "password = \"${DB_PASSWORD}\"", "password = os.environ['PASSWORD']", "token = getenv(\"API_TOKEN_V2\")",
            "key = \"AKIAIOSFODNN7EXAMPLE\"", "password = 'changeme123'", "password = 'password123'",
            "api_key = \"{{ vault.key_1234567 }}\"", "ghp_" + String(repeating: "x", count: 36),
            "token_type = 'Bearer0123456789abcdefghij'", "tokenizer = 'bert-base-uncased-v2-0123'",
            "password_hash = \"pbkdf2_sha256$260000$xyz\"", "if token == \"\(Canary.random(32))\":",
            "secret_name = 'projects/12345/secrets/one'", "pad_token = '<|endoftext|>'", "pwd = '/home/me/work2'",
            "token = next_token(stream, position2, true)", "sha256 = '\(Canary.hex(64))'",
            "ClientRequestToken: \"a8ca07e4-61ec-4399-99f4-19853801bcd5\"",
        ] {
            #expect(rules(text) == [], "\(text)")
        }
    }

    /// Images of notebooks and data URLs, with whatever base 64 can spell.
    @Test func picturesNeverTrigger() {
        var image = "iVBORw0KGgo"
        for seed in 0..<400 {
            image += Canary.letters(997, Canary.all + "+/", seed: UInt64(seed) + 100)
            image += ["AKI" + "A", "ghp", "ey" + "J", "AI" + "za", "hf", "token", "password="][seed % 7]
        }
        image += "+" + Canary.aws + "/" + "AI" + "za" + Canary.random(35) + "+="
        #expect(rules("{\"data\": {\"image/png\": \"\(image)\\n\"}}") == [])
        #expect(rules("<img src=\"data:image/png;base64,\(image)\">") == [])
    }

    @Test func whereAndWhat() throws {
        let text = "a\nb\nkey = '\(Canary.gitHub)'\n\npassword = 'hx7!kq9z'\n"
        let found = SecretScanner.scan(Array(text.utf8))
        #expect(found.map(\.line) == [3, 5])
        #expect(found.map(\.preview) == ["ghp_", "hx"])
        #expect(found.first?.sentence == "github-token (ghp_…)")
        let located = LocatedSecret(path: Array("a/b".utf8), finding: try #require(found.first))
        #expect(located.sentence == "a/b:3: github-token (ghp_…)")
        #expect(!located.json.canonicalText.contains("ghp"))
    }

    /// In a file of many pieces, secrets that lie across them are found once, with their line.
    @Test func largeFiles() throws {
        let scratch = try Scratch()
        let line = String(repeating: "x", count: 99) + "\n"
        let lines = (4 << 20) / 100
        for shift in [-170, -60, -10, 0, 30, 16_500] {
            let before = String(repeating: line, count: lines - 200)
            let fill = String(repeating: "y", count: 20_000 + shift - before.utf8.count % 100) + "\n"
            let text = before + fill + "k='\(Canary.gitHub)'\n" + String(repeating: line, count: 50_000)
            try scratch.write("large", text)
            let file = try OwnedDescriptor.open(scratch.path + "/large", O_RDONLY)
            let found = try SecretFile.scan(file, name: Array("large".utf8), size: UInt64(text.utf8.count))
            #expect(found.map(\.finding.line) == [lines - 200 + 2], "\(shift)")
        }
    }

    @Test func binaryFilesAreNone() throws {
        let scratch = try Scratch()
        try scratch.write(Array("b".utf8), [0x7f, 0x45, 0, 0] + Array(Canary.gitHub.utf8))
        let file = try OwnedDescriptor.open(scratch.path + "/b", O_RDONLY)
        #expect(try SecretFile.scan(file, name: [0x62], size: 44).isEmpty)
    }

    /// Any bytes are scanned without harm.
    @Test func anyBytes() {
        for seed in 0..<300 {
            let text = Canary.letters(
                Int(seed), "ghp_AKIA:=\"'\\\n-BEGIN PRIVATE KEY passwordtokensecretapi://@.eyJ", seed: UInt64(seed) + 1)
            _ = SecretScanner.scan(Array(text.utf8), asSettings: seed.isMultiple(of: 2))
        }
        #expect(SecretScanner.scan([]).isEmpty)
    }

    @Test func arguments() {
        let random = Canary.random(32, seed: 14)
        let words = ["train.py", "--api-key", random, "--token=\(Canary.gitHub)", "--lr", "0.1", "password=hx7!kq9z"]
        let arguments = SecretArguments(words.map { Array($0.utf8) })
        #expect(arguments.found.map(\.word) == [2, 3, 6])
        let redacted = arguments.redacted.map { String(decoding: $0, as: UTF8.self) }
        #expect(
            redacted == [
                "train.py", "--api-key", "[redacted: secret-assignment]", "--token=[redacted: github-token]", "--lr",
                "0.1", "password=[redacted: password-assignment]",
            ])
        #expect(SecretArguments(["--model", "bert-base-uncased"].map { Array($0.utf8) }).found.isEmpty)
    }

    @Test func waivers() {
        let waivers = SecretWaivers(patterns: ["tests/fixtures/", "*.pem"])
        #expect(waivers.ground(Array("a/b.pem".utf8), isWaivedByLine: false) == .pattern)
        #expect(waivers.ground(Array("tests/fixtures/x/y".utf8), isWaivedByLine: false) == .pattern)
        #expect(waivers.ground(Array("src/a.py".utf8), isWaivedByLine: false) == nil)
        #expect(waivers.ground(Array("src/a.py".utf8), isWaivedByLine: true) == .line)
        #expect(SecretWaivers(reason: "ok").ground([0x61], isWaivedByLine: false) == .reason)
    }
}
