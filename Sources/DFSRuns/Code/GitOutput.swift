import Glibc

/// `git status --porcelain=v2 -z --branch --untracked-files=all --ignored=matching`, read.
struct GitStatus {
    var facts = GitFacts()
    /// Untracked repositories: entries with a slash at the end.
    var repositories = [[UInt8]]()
    var untracked = [[UInt8]]()
    var ignored: [(path: [UInt8], isDirectory: Bool)] = []

    static let arguments = [
        "status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--ignored=matching", "--no-renames",
        "--no-ahead-behind", "--ignore-submodules=dirty",
    ]

    init(_ output: [UInt8]) {
        var skip = false
        NulTerminated.forEach(output) { record in
            if skip {
                skip = false
                return
            }
            guard record.count > 2 else { return }
            switch record[record.startIndex] {
            case UInt8(ascii: "#"): header(String(decoding: record, as: UTF8.self))
            case UInt8(ascii: "1"): changed(record)
            case UInt8(ascii: "2"):
                changed(record)
                // The path it was renamed from follows as a record of its own.
                skip = true
            case UInt8(ascii: "u"): facts.unmerged += 1
            case UInt8(ascii: "?"):
                if record.last == UInt8(ascii: "/") {
                    repositories.append(Array(record.dropFirst(2).dropLast()))
                } else {
                    facts.untracked += 1
                    untracked.append(Array(record.dropFirst(2)))
                }
            case UInt8(ascii: "!"):
                let isDirectory = record.last == UInt8(ascii: "/")
                let path = record.dropFirst(2).dropLast(isDirectory ? 1 : 0)
                ignored.append((Array(path), isDirectory))
            default: break
            }
        }
    }

    private mutating func header(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count == 3 else { return }
        switch words[1] {
        case "branch.oid" where words[2] != "(initial)": facts.head = String(words[2])
        case "branch.head" where words[2] != "(detached)": facts.branch = String(words[2])
        default: break
        }
    }

    private mutating func changed(_ record: Slice<UnsafeBufferPointer<UInt8>>) {
        let start = record.startIndex
        guard record.count > 4 else { return }
        let dot = UInt8(ascii: ".")
        if record[start + 2] != dot { facts.staged += 1 }
        if record[start + 3] != dot { facts.modified += 1 }
        if record[start + 3] == UInt8(ascii: "D") { facts.deleted += 1 }
    }
}

/// `git ls-files --stage -v -z`, read: where submodules are, what git does not look at, and whether there are certain files.
struct GitIndexListing {
    var submodules = [[UInt8]]()
    var hasDFSIgnore = false
    var hasAttributes = false
    var skippedWorktree = 0
    var assumedUnchanged = 0

    static let arguments = ["ls-files", "--stage", "-v", "-z"]

    init(_ output: [UInt8]) {
        let link = Array("160000 ".utf8)
        NulTerminated.forEach(output) { record in
            // A letter and a space come first: small where the file is assumed unchanged, S where it is to be absent.
            guard let tag = record.first else { return }
            if tag | 0x20 == UInt8(ascii: "s") { skippedWorktree += 1 }
            if tag & 0x20 != 0 { assumedUnchanged += 1 }
            let entry = record.dropFirst(2)
            if entry.starts(with: link) {
                guard let tab = entry.firstIndex(of: 0x09) else { return }
                submodules.append(Array(entry[(tab + 1)...]))
            } else if NulTerminated.isDFSIgnore(record) {
                hasDFSIgnore = true
            } else if NulTerminated.isAttributes(record) {
                hasAttributes = true
            }
        }
    }
}

/// Records that end in NUL.
enum NulTerminated {
    static func forEach(_ bytes: [UInt8], _ body: (Slice<UnsafeBufferPointer<UInt8>>) -> Void) {
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var start = 0
            while start < buffer.count {
                let found = memchr(base + start, 0, buffer.count - start)
                let end = found.map { UnsafeRawPointer(base).distance(to: UnsafeRawPointer($0)) } ?? buffer.count
                body(buffer[start..<end])
                start = end + 1
            }
        }
    }

    private static let ignoreName = Array(".dfsignore".utf8), attributesName = Array(".gitattributes".utf8)

    static func isDFSIgnore(_ record: some BidirectionalCollection<UInt8>) -> Bool { ends(record, ignoreName) }
    static func isAttributes(_ record: some BidirectionalCollection<UInt8>) -> Bool { ends(record, attributesName) }

    /// Whether the last component, after a slash or a tab, is `name`.
    private static func ends(_ record: some BidirectionalCollection<UInt8>, _ name: [UInt8]) -> Bool {
        guard record.last == name.last else { return false }
        let tail = record.suffix(name.count)
        guard tail.elementsEqual(name) else { return false }
        let before = record.dropLast(name.count).last
        return before == nil || before == UInt8(ascii: "/") || before == 0x09
    }
}
