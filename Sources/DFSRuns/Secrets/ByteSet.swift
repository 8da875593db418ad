/// A set of bytes.
struct ByteSet: Sendable {
    private var low: (UInt64, UInt64) = (0, 0)
    private var high: (UInt64, UInt64) = (0, 0)

    /// The characters of a text of ASCII.
    init(_ characters: String) { for byte in characters.utf8 { insert(byte) } }

    func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return low.0 & bit != 0
        case 1: return low.1 & bit != 0
        case 2: return high.0 & bit != 0
        default: return high.1 & bit != 0
        }
    }

    private mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: low.0 |= bit
        case 1: low.1 |= bit
        case 2: high.0 |= bit
        default: high.1 |= bit
        }
    }

    private static let upperText = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", lowerText = "abcdefghijklmnopqrstuvwxyz"
    private static let digitText = "0123456789"

    static let digits = ByteSet(digitText)
    static let lower = ByteSet(lowerText)
    static let upper = ByteSet(upperText)
    static let alphanumeric = ByteSet(upperText + lowerText + digitText)
    /// Base 64 for URLs, and most tokens.
    static let webSafe = ByteSet(upperText + lowerText + digitText + "_-")
    static let dotted = ByteSet(upperText + lowerText + digitText + "_-.")
    static let base64 = ByteSet(upperText + lowerText + digitText + "+/")
    static let hexadecimal = ByteSet("0123456789abcdef")
    static let upperAndDigits = ByteSet(upperText + digitText)
    /// Base 32, of which AWS makes its identifiers.
    static let base32 = ByteSet(upperText + "234567")
    /// What names in programs and settings are made of.
    static let identifier = ByteSet(upperText + lowerText + digitText + "_-.")
    static let space = ByteSet(" \t")
    static let quote = ByteSet("\"'`")
}
