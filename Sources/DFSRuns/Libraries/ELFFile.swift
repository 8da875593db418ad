import DFSModel
import DFSSystem
import Glibc

/// What of a little-endian 64-bit ELF file tells which build it is. `nil` of everything else.
struct ELFFile: Equatable {
    /// GNU build id, hexadecimal.
    let buildID: String?
    /// DT_SONAME: the name by which the loader looks for a library.
    let soname: String?

    private struct Segment {
        let kind: UInt32
        let offset, address, size: UInt64
    }

    /// elf(5). Reads headers, notes and the dynamic section only.
    init?(_ file: Int32) {
        guard let head = Self.read(file, at: 0, count: 64), head.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else {
            return nil
        }
        let (table, width, count) = (head.word64(32), head.word16(54), min(Int(head.word16(56)), 256))
        guard width >= 56, let raw = Self.read(file, at: table, count: Int(width) * count) else { return nil }
        let segments = (0..<count).map { i in
            let at = i * Int(width)
            return Segment(
                kind: raw.word32(at), offset: raw.word64(at + 8), address: raw.word64(at + 16),
                size: raw.word64(at + 32))
        }
        buildID = Self.buildID(file, segments)
        soname = Self.soname(file, segments)
    }

    private static let note: UInt32 = 4, load: UInt32 = 1, dynamic: UInt32 = 2

    private static func read(_ file: Int32, at offset: UInt64, count: Int) -> [UInt8]? {
        guard count > 0, count <= 1 << 20, offset < UInt64(Int64.max) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(file, &bytes, count, off_t(offset)) == count ? bytes : nil
    }

    /// The note of type 3 (NT_GNU_BUILD_ID) whose name is `GNU`.
    private static func buildID(_ file: Int32, _ segments: [Segment]) -> String? {
        for segment in segments where segment.kind == note {
            guard let bytes = read(file, at: segment.offset, count: Int(clamping: segment.size)) else { continue }
            var at = 0
            while at + 12 <= bytes.count {
                let (name, length) = (Int(bytes.word32(at)), Int(bytes.word32(at + 4)))
                let kind = bytes.word32(at + 8)
                let start = at + 12 + (name + 3) & ~3
                guard length <= 64 || kind != 3, start + length <= bytes.count else { break }
                if kind == 3, name == 4, Array(bytes[at + 12..<at + 15]) == Array("GNU".utf8) {
                    return bytes[start..<start + length].map { byte in
                        let digits = String(byte, radix: 16)
                        return digits.count < 2 ? "0" + digits : digits
                    }.joined()
                }
                at = start + (length + 3) & ~3
            }
        }
        return nil
    }

    private static func soname(_ file: Int32, _ segments: [Segment]) -> String? {
        guard let dynamic = segments.first(where: { $0.kind == dynamic }),
            let bytes = read(file, at: dynamic.offset, count: Int(clamping: min(dynamic.size, 1 << 16)))
        else { return nil }
        var name: UInt64?
        var strings: UInt64?
        for at in stride(from: 0, to: bytes.count - 15, by: 16) {
            switch bytes.word64(at) {
            case 14: name = bytes.word64(at + 8)  // DT_SONAME
            case 5: strings = bytes.word64(at + 8)  // DT_STRTAB, an address
            default: break
            }
        }
        guard let name, let strings,
            let place = segments.first(where: {
                $0.kind == load && strings >= $0.address && strings - $0.address < $0.size
            })
        else { return nil }
        let offset = strings - place.address + place.offset + name
        var text = [UInt8](repeating: 0, count: 256)
        let got = pread(file, &text, text.count, off_t(clamping: offset))
        guard got > 0, let end = text.prefix(got).firstIndex(of: 0), end > 0 else { return nil }
        return String(decoding: text[..<end], as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate func word16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
    fileprivate func word32(_ at: Int) -> UInt32 { UInt32(word16(at)) | UInt32(word16(at + 2)) << 16 }
    fileprivate func word64(_ at: Int) -> UInt64 { UInt64(word32(at)) | UInt64(word32(at + 4)) << 32 }
}
