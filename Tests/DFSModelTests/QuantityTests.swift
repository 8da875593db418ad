import DFSModel
import Testing

@Suite struct ByteCountTests {
    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (102_348, "99.9 KiB"),
            (102_400, "100 KiB"),
            (1_048_063, "1023 KiB"), (1_048_064, "1.0 MiB"), (1_048_576, "1.0 MiB"), (35_651_584, "34.0 MiB"),
            (1 << 30, "1.0 GiB"), (5 << 40, "5.0 TiB"), (3 << 50, "3.0 PiB"), (UInt64.max, "16.0 EiB"),
        ] as [(UInt64, String)])
    func shows(_ value: UInt64, _ text: String) { #expect(ByteCount(value).description == text) }

    @Test(
        arguments: [
            ("0", 0), ("4096", 4096), ("12B", 12), ("64 KiB", 65536), ("64K", 65536), ("64k", 65536),
            ("1.5GiB", 1_610_612_736),
            ("100 MB", 100_000_000), ("0.5KB", 500), ("1.001 KiB", 1025), ("2T", 2 << 40), ("7E", 7 << 60),
        ] as [(String, UInt64)])
    func reads(_ text: String, _ value: UInt64) throws { #expect(try ByteCount.parse(text).value == value) }

    @Test(arguments: [
        "", "K", "1.", ".5", "1.2.3", "-1", "+1", "1 KB/s", "1X", "1KiBB", "1e3", "8E", "99999999999999999999",
        "1.0000000001K", "１K", "16777216T",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: DFSError.self) { try ByteCount.parse(text) }
        #expect(error?.code == .usage)
    }

    @Test func valuesAreOrdered() { #expect(ByteCount(1) < ByteCount(2)) }
}

@Suite struct QuantityTests {
    @Test func numbersAreGrouped() {
        #expect(Quantity.number(0) == "0")
        #expect(Quantity.number(999) == "999")
        #expect(Quantity.number(1000) == "1,000")
        #expect(Quantity.number(-1_234_567) == "-1,234,567")
        #expect(Quantity.number(UInt64.max) == "18,446,744,073,709,551,615")
        #expect(Quantity.number(Int64.min) == "-9,223,372,036,854,775,808")
    }

    @Test func nounsAgree() {
        #expect(Quantity.count(0, "file") == "0 files")
        #expect(Quantity.count(1, "file") == "1 file")
        #expect(Quantity.count(2000, "entry", plural: "entries") == "2,000 entries")
    }

    @Test(
        arguments: [
            (-5, "0.0 s"), (0, "0.0 s"), (449, "0.4 s"), (450, "0.5 s"), (9949, "9.9 s"), (9950, "10 s"),
            (42_400, "42 s"),
            (59_600, "1 min"), (200_000, "3 min 20 s"), (7_500_000, "2 h 5 min"), (7_200_000, "2 h"),
            (273_600_000, "3 d 4 h"),
        ] as [(Int64, String)])
    func durations(_ milliseconds: Int64, _ text: String) {
        #expect(Quantity.duration(milliseconds: milliseconds) == text)
    }
}
