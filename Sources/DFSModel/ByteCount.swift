/// A number of bytes. Shown in binary units; JSON holds `value`.
package struct ByteCount: Hashable, Comparable, Sendable {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package static func < (a: ByteCount, b: ByteCount) -> Bool { a.value < b.value }

    /// Reads `4096`, `64 KiB`, `64K`, `1.5GiB` (powers of 1024) or `100 MB` (powers of 1000), as GNU tools do.
    package static func parse(_ text: String) throws(DFSError) -> ByteCount {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let factor = factor(String(unit)), let value = scaled(digits, by: factor) else {
            throw DFSError(.usage, "not a size: \(text)", cause: "sizes are 4096, 64 KiB, 1.5GiB or 100 MB")
        }
        return ByteCount(value)
    }

    private static let prefixes = Array("KMGTPE".utf8)

    private static func factor(_ unit: String) -> UInt64? {
        let bytes = Array(unit.uppercased().utf8)
        if bytes.isEmpty || bytes == [UInt8(ascii: "B")] { return 1 }
        guard let power = prefixes.firstIndex(of: bytes[0]) else { return nil }
        let base: UInt64
        switch String(decoding: bytes.dropFirst(), as: UTF8.self) {
        case "", "IB": base = 1024
        case "B": base = 1000
        default: return nil
        }
        return (0...power).reduce(1) { product, _ in product * base }
    }

    /// `digits` times `factor`, exactly rounded down; `nil` when malformed or above 2^63.
    private static func scaled(_ digits: Substring, by factor: UInt64) -> UInt64? {
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = UInt64(parts[0]), parts.last?.isEmpty == false else {
            return nil
        }
        var (total, overflow) = whole.multipliedReportingOverflow(by: factor)
        if parts.count == 2 {
            guard parts[1].count <= 9, let numerator = UInt64(parts[1]) else { return nil }
            let denominator = (0..<parts[1].count).reduce(UInt64(1)) { product, _ in product * 10 }
            let (high, low) = numerator.multipliedFullWidth(by: factor)
            let (sum, carried) = total.addingReportingOverflow(denominator.dividingFullWidth((high, low)).quotient)
            (total, overflow) = (sum, overflow || carried)
        }
        return overflow || total > UInt64(Int64.max) ? nil : total
    }
}

extension ByteCount: CustomStringConvertible {
    /// One decimal below 100 of a unit, none above: `512 B`, `1.5 KiB`, `34.0 MiB`, `921 GiB`.
    package var description: String {
        if value < 1024 { return "\(value) B" }
        var power = 0
        var unit: UInt64 = 1024
        // What would round to 1024 of a unit is 1.0 of the next.
        while power < Self.prefixes.count - 1, rounded(tenthsOf: unit * 10) >= 1024 {
            unit <<= 10
            power += 1
        }
        let tenths = rounded(tenthsOf: unit)
        let number = tenths < 1000 ? "\(tenths / 10).\(tenths % 10)" : "\(rounded(tenthsOf: unit * 10))"
        return "\(number) \(Character(Unicode.Scalar(Self.prefixes[power])))iB"
    }

    /// `value` in tenths of `unit`, rounded half up.
    private func rounded(tenthsOf unit: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: 10)
        let (sum, carry) = low.addingReportingOverflow(unit / 2)
        return unit.dividingFullWidth((carry ? high + 1 : high, sum)).quotient
    }
}
