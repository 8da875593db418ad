import DFSModel
import DFSSystem
import Glibc

/// Looks for secrets in an open file, in pieces, so that it may be of any size.
package enum SecretFile {
    /// A finding, and whether a mark on its line waives it.
    package struct Found: Sendable {
        package let finding: SecretFinding
        package let isWaived: Bool
    }

    private static let window = 4 << 20
    /// What is looked at again with the next piece: a secret may go on there.
    private static let overlap = 16 << 10
    /// A file with a zero byte within its first bytes is no text; git decides alike.
    private static let head = 8000

    /// The findings in a text; none in what is no text. `name` tells settings from programs.
    package static func scan(_ file: OwnedDescriptor, name: [UInt8], size: UInt64) throws(DFSError) -> [Found] {
        let capacity = Int(min(size, UInt64(window)))
        guard capacity > 0 else { return [] }
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
        defer { buffer.deallocate() }
        let kind = kind(of: name)
        var found = [Found](), offset: UInt64 = 0, line = 1, isFirst = true
        while offset < size {
            let count = try read(file, buffer, at: offset)
            if isFirst, buffer[..<min(count, head)].contains(0) { return [] }
            isFirst = false
            guard count > 0 else { break }
            let text = SecretText(bytes: UnsafeBufferPointer(rebasing: buffer[..<count]), kind: kind)
            let isLast = offset + UInt64(count) >= size || count <= overlap
            let limit = isLast ? count : count - overlap
            for (finding, isWaived) in SecretScanner.scan(text, upTo: limit, firstLine: line) {
                found.append(Found(finding: finding, isWaived: isWaived))
            }
            if isLast { break }
            line += text.newlines(in: 0..<limit)
            offset += UInt64(limit)
        }
        return found
    }

    /// As much as there is, up to the size of the buffer.
    private static func read(
        _ file: OwnedDescriptor, _ buffer: UnsafeMutableBufferPointer<UInt8>, at offset: UInt64
    ) throws(DFSError) -> Int {
        var done = 0
        while done < buffer.count {
            let n = try System.call("cannot read a file", fault: "read") {
                pread(file.raw, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
            }
            if n == 0 { break }
            done += n
        }
        return done
    }

    // MARK: Names

    private static let settingsEndings = [
        ".env", ".ini", ".cfg", ".conf", ".config", ".toml", ".yaml", ".yml", ".properties", ".sh", ".bash", ".zsh",
        ".envrc",
        ".npmrc", ".pypirc", ".tfvars", ".service",
    ].map { Array($0.utf8) }
    private static let settingsNames = ["credentials", "Dockerfile", ".bashrc", ".profile"].map { Array($0.utf8) }
    /// Files that only hold secrets, and have a form of their own.
    private static let forms: [(name: [UInt8], kind: SecretText.Kind)] = [
        (".netrc", .netrc), ("_netrc", .netrc), (".pgpass", .pgpass), ("pgpass.conf", .pgpass),
        ("kaggle.json", .kaggle),
    ].map { (Array($0.utf8), $1) }

    static func kind(of path: [UInt8]) -> SecretText.Kind {
        let name = Array(path.split(separator: UInt8(ascii: "/")).last ?? [])
        if let form = forms.first(where: { $0.name == name }) { return form.kind }
        let isSettings =
            name.starts(with: Array(".env".utf8)) || settingsNames.contains(name)
            || settingsEndings.contains { name.suffix($0.count).elementsEqual($0) }
        return isSettings ? .settings : .program
    }
}
