import DFSModel

/// A piece of a table: text of ours, or a name that came from a file system.
package struct Cell: Sendable {
    enum Content: Sendable { case text(String), name([UInt8]) }

    let content: Content
    let role: Style.Role

    package static func text(_ text: String, _ role: Style.Role = .plain) -> Cell {
        Cell(content: .text(text), role: role)
    }

    /// A file name: escaped on a terminal, its own bytes otherwise, as ls(1) does.
    package static func name(_ bytes: [UInt8], _ role: Style.Role = .plain) -> Cell {
        Cell(content: .name(bytes), role: role)
    }

    package static func size(_ bytes: UInt64) -> Cell { .text(ByteCount(bytes).description) }

    package static func number(_ value: some BinaryInteger) -> Cell { .text(Quantity.number(value)) }

    package static func time(_ time: Timestamp) -> Cell { .text(time.short, .dim) }

    /// The bytes to print, and how many columns they take.
    func rendered(_ style: Style, onTerminal: Bool) -> (bytes: [UInt8], width: Int) {
        let text: String
        switch content {
        case .name(let bytes) where !onTerminal: return (bytes, TextWidth.of(String(decoding: bytes, as: UTF8.self)))
        case .name(let bytes): text = NameText.display(bytes)
        // Text may quote what users wrote; in a table it is one line.
        case .text(let given): text = NameText.display(Array(given.utf8))
        }
        return (Array(style.paint(text, role).utf8), TextWidth.of(text))
    }
}

/// A column of a list.
package struct Column: Sendable {
    package enum Alignment: Sendable { case left, right }

    let title: String
    let alignment: Alignment

    package init(_ title: String, _ alignment: Alignment = .left) {
        self.title = title
        self.alignment = alignment
    }
}

/// How many columns of a terminal a text takes.
package enum TextWidth {
    package static func of(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { sum, character in sum + (character.unicodeScalars.first.map(isWide) == true ? 2 : 1) }
    }

    /// As many characters from the front as fit into `columns`.
    package static func prefix(_ text: String, _ columns: Int) -> String {
        var out = ""
        var width = 0
        for character in text {
            width += of(String(character))
            if width > columns { break }
            out.append(character)
        }
        return out
    }

    /// East Asian wide and full-width characters, and emoji.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60,
            0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            true
        default: false
        }
    }
}
