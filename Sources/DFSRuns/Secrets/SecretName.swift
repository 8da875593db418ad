/// A word in a name to which secrets are given.
struct SecretName: Sendable {
    enum Kind: Sendable {
        /// What people choose: short, and anything.
        case password
        /// What machines make: long and random.
        case generated
        /// User and password in base 64, as registries and HTTP have them; or what machines make.
        case encoded
    }

    /// In small letters.
    let word: [UInt8]
    let kind: Kind
    let gram: Int
    /// Names of much that is no secret: only random values count there.
    let isWeak: Bool
    /// Whether the word is also a part of other words (`bypass`, `oauth`): it counts only where a part of the name begins.
    let isPart: Bool

    private init(_ word: String, _ kind: Kind, gram: Int = 0, isWeak: Bool = false, isPart: Bool = false) {
        self.word = Array(word.utf8)
        self.kind = kind
        self.gram = gram
        self.isWeak = isWeak
        self.isPart = isPart
    }

    static let all: [SecretName] = [
        SecretName("password", .password, gram: 2), SecretName("passwd", .password, gram: 2),
        SecretName("passphrase", .password, gram: 2), SecretName("pwd", .password),
        SecretName("secret", .generated, gram: 2), SecretName("token", .generated, gram: 1, isWeak: true),
        SecretName("apikey", .generated, gram: 2), SecretName("api_key", .generated, gram: 2),
        SecretName("api-key", .generated, gram: 2), SecretName("access_key", .generated, gram: 1),
        SecretName("accesskey", .generated, gram: 1), SecretName("private_key", .generated, gram: 1),
        SecretName("privatekey", .generated, gram: 1), SecretName("auth_key", .generated, gram: 1),
        SecretName("authkey", .generated, gram: 1), SecretName("encryption_key", .generated, gram: 3),
        SecretName("credential", .generated, gram: 2),
        SecretName("pass", .password, isWeak: true, isPart: true),
        SecretName("auth", .encoded, gram: 1, isWeak: true, isPart: true),
        SecretName("creds", .encoded, gram: 2, isWeak: true, isPart: true),
    ]

    /// What may follow the word in the name: with anything else (`token_type`, `password_hash`) the value is about a secret
    /// and none.
    private static let endings: Set<String> = [
        "", "s", "key", "accesskey", "value", "val", "string", "str", "text", "secret", "token", "prod", "production",
        "dev",
        "staging", "live", "base", "bencoded", "plain", "plaintext", "default", "main", "access", "client", "app", "db",
        "admin", "root", "readonly", "rw", "ro", "write", "read",
    ]

    static func mayEnd(_ rest: some Collection<UInt8>) -> Bool {
        guard rest.count <= 24 else { return false }
        let letters = rest.lazy.map(SecretValue.small).filter { ByteSet.lower.contains($0) }
        return endings.contains(String(decoding: Array(letters), as: UTF8.self))
    }
}
