import DFSModel

/// Random bytes from the system's generator.
package enum Randomness {
    package static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    package static func hex(bytes count: Int) -> String { Hex.encode(bytes(count)) }
}
