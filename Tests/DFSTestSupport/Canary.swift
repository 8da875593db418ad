/// Every secret here is made up. They are put together at run time, so that scanners leave this file alone.
package enum Canary {
    package static func letters(_ count: Int, _ alphabet: String, seed: UInt64 = 1) -> String {
        let characters = Array(alphabet.utf8)
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        let bytes = (0..<count).map { _ -> UInt8 in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return characters[Int(state % UInt64(characters.count))]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package static let lower = "abcdefghijklmnopqrstuvwxyz", upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", digits = "0123456789"
    package static let all = upper + lower + digits

    package static func random(_ count: Int, seed: UInt64 = 1) -> String { letters(count, all, seed: seed) }
    package static func hex(_ count: Int, seed: UInt64 = 1) -> String { letters(count, "0123456789abcdef", seed: seed) }

    package static var gitHub: String { "ghp" + "_" + random(36) }
    package static var aws: String { "AKI" + "A" + letters(16, upper + "234567", seed: 3) }
    package static var privateKey: String {
        "-----BEGIN RSA PRIV" + "ATE KEY-----\n"
            + (0..<3).map { letters(64, all + "+/", seed: UInt64($0) + 5) + "\n" }.joined()
            + "-----END RSA PRIV" + "ATE KEY-----\n"
    }
    package static var webToken: String {
        "ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.ey" + "JzdWIiOiI0NzExIiwibmFtZSI6IkpvIn0." + random(43, seed: 8)
    }
}
