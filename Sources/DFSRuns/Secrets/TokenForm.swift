/// The form of a token that its issuer marks by how it begins.
///
/// Prefixes, alphabets and lengths are those the issuers document, and those that the rules of gitleaks, detect-secrets and
/// trufflehog go by.
struct TokenForm: Sendable {
    let rule: SecretRule
    let prefix: [UInt8]
    let alphabet: ByteSet
    /// Bytes after the prefix.
    let count: ClosedRange<Int>
    /// What stands somewhere in every such token.
    let mark: [UInt8]
    /// Which three bytes of the prefix the search looks for: those that are rare in texts.
    let gram: Int

    private init(
        _ rule: SecretRule, _ prefix: String, _ alphabet: ByteSet, _ count: ClosedRange<Int>, mark: String = "",
        gram: Int = 0
    ) {
        self.rule = rule
        self.prefix = Array(prefix.utf8)
        self.alphabet = alphabet
        self.count = count
        self.mark = Array(mark.utf8)
        self.gram = gram
    }

    private static let open = 512

    static let all: [TokenForm] = aws + hosting + talk + models + clouds + packages

    private static let aws = ["AKIA", "ASIA", "ABIA", "ACCA"].map {
        TokenForm(.awsAccessKey, $0, .base32, 16...16, gram: 1)
    }

    private static let hosting =
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map { TokenForm(.gitHubToken, $0, .alphanumeric, 36...255) }
        + [
            TokenForm(.gitHubToken, "github_pat_", .webSafe, 60...255, gram: 5),
            TokenForm(.gitLabToken, "glpat-", .dotted, 20...open, gram: 1),
            TokenForm(.gitLabToken, "glptt-", .hexadecimal, 40...40, gram: 1),
        ] + ["gldt-", "glrt-", "glft-", "glcbt-", "glsoat-"].map { TokenForm(.gitLabToken, $0, .webSafe, 20...open) }

    private static let talk =
        ["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxo-"].map {
            TokenForm(.slackToken, $0, .webSafe, 24...open)
        } + [
            TokenForm(.slackToken, "xapp-", .webSafe, 40...open),
            TokenForm(.slackWebhook, "hooks.slack.com/services/T", .base64, 40...80, gram: 3),
        ]

    private static let models =
        ["sk-proj-", "sk-svcacct-", "sk-admin-"].map { TokenForm(.openAIKey, $0, .webSafe, 40...open) } + [
            TokenForm(.openAIKey, "sk-", .alphanumeric, 48...48, mark: "T3BlbkFJ"),
            TokenForm(.openRouterKey, "sk-or-v1-", .hexadecimal, 64...64, gram: 6),
            TokenForm(.anthropicKey, "sk-ant-", .webSafe, 80...open),
            TokenForm(.huggingFaceToken, "hf_", .alphanumeric, 34...40),
            TokenForm(.nvidiaKey, "nvapi-", .webSafe, 60...open),
            TokenForm(.groqKey, "gsk_", .alphanumeric, 52...52),
            TokenForm(.replicateToken, "r8_", .alphanumeric, 37...37),
            TokenForm(.wandbKey, "wandb_v1_", .webSafe, 40...open, gram: 4),
        ]

    private static let clouds =
        ["sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_"].map {
            TokenForm(.stripeKey, $0, .alphanumeric, 16...open, gram: 1)
        }
        + [
            TokenForm(.googleKey, "AIza", .webSafe, 35...35), TokenForm(.googleToken, "ya29.", .dotted, 40...open),
            TokenForm(.googleToken, "GOCSPX-", .webSafe, 28...28, gram: 2),
            TokenForm(.databricksToken, "dapi", .hexadecimal, 32...32),
            TokenForm(.sendGridKey, "SG.", .dotted, 66...66), TokenForm(.vaultToken, "hvs.", .webSafe, 80...open),
            TokenForm(.ageKey, "AGE-SECRET-KEY-1", .upperAndDigits, 58...58, gram: 2),
            TokenForm(.azureAccountKey, "AccountKey=", .base64, 86...86, gram: 6),
        ] + ["dop_v1_", "doo_v1_", "dor_v1_"].map { TokenForm(.digitalOceanToken, $0, .hexadecimal, 64...64) }
        + ["shpat_", "shpss_", "shpca_", "shppa_"].map { TokenForm(.shopifyToken, $0, .hexadecimal, 32...32) }

    private static let packages = [
        TokenForm(.npmToken, "npm_", .alphanumeric, 36...36),
        TokenForm(.pypiToken, "pypi-AgEIcHlwaS5vcmc", .webSafe, 50...open),
        TokenForm(.pypiToken, "pypi-AgENdGVzdC5weXBpLm9yZw", .webSafe, 50...open),
        TokenForm(.dockerToken, "dckr_pat_", .webSafe, 27...27),
    ]
}
