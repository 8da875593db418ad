/// Text for a POSIX shell.
package enum ShellText {
    /// `word` as one word of a command line, quoted only where it must be.
    package static func quote(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || "-_./:@%+=,".utf8.contains(byte) || byte >= 0x80
        }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
