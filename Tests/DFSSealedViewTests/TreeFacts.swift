import DFSChunking
import DFSModel
import DFSSystem
import Glibc
import Testing

/// What a directory tree shows, read with plain system calls: what is to be the same on both sides.
struct TreeFacts: Equatable {
    let kind: FileStatus.Kind
    let mode: UInt16
    /// None of a directory: that is each file system's own business.
    let size: UInt64
    let modified: Timestamp
    /// Of a file's bytes or a symlink's target.
    let content: Digest

    /// All below `path`, by path.
    static func of(_ path: String, times: Bool = true) throws -> [[UInt8]: TreeFacts] {
        var found = [[UInt8]: TreeFacts]()
        try forEach(path) { name, directory, entry, status in
            found[name] = TreeFacts(
                kind: status.kind, mode: status.kind == .symlink ? 0o777 : status.mode & 0o777,
                size: status.kind == .directory ? 0 : status.size,
                modified: times ? status.modified : Timestamp(seconds: 0, nanoseconds: 0),
                content: Digest.of(try content(entry, status, at: directory)))
        }
        return found
    }

    static func expectEqual(
        _ a: [[UInt8]: TreeFacts], _ b: [[UInt8]: TreeFacts], location: SourceLocation = #_sourceLocation
    ) {
        let names = Set(a.keys).union(b.keys)
        let different = names.filter { a[$0] != b[$0] }
        for name in different.sorted(by: { $0.lexicographicallyPrecedes($1) }).prefix(5) {
            let (one, two) = (a[name].map { "\($0)" } ?? "none", b[name].map { "\($0)" } ?? "none")
            Issue.record("\(NameText.display(name)): \(one), \(two)", sourceLocation: location)
        }
    }

    /// Calls `body` with the path below, the directory's descriptor, the name in it, and its status.
    static func forEach(
        _ path: String, _ body: ([UInt8], Int32, [UInt8], FileStatus) throws -> Void
    ) throws {
        try walk(try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY), [], body)
    }

    private static func walk(
        _ directory: OwnedDescriptor, _ prefix: [UInt8], _ body: ([UInt8], Int32, [UInt8], FileStatus) throws -> Void
    ) throws {
        for name in try DirectoryListing.names(of: directory) {
            let status = try #require(try FileStatus.of(name, at: directory.raw))
            let path = prefix.isEmpty ? name : prefix + [0x2f] + name
            try body(path, directory.raw, name, status)
            if status.kind == .directory {
                let below = try OwnedDescriptor.open(bytes: name, O_RDONLY | O_DIRECTORY, at: directory.raw)
                try walk(below, path, body)
            }
        }
    }

    private static func content(_ name: [UInt8], _ status: FileStatus, at directory: Int32) throws -> [UInt8] {
        switch status.kind {
        case .file:
            let file = try OwnedDescriptor.open(bytes: name, O_RDONLY, at: directory)
            return try Files.read(file, what: NameText.display(name))
        case .symlink:
            var target = [UInt8](repeating: 0, count: 8192)
            let count = withCName(name) { name in
                target.withUnsafeMutableBytes {
                    readlinkat(directory, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 8192)
                }
            }
            try #require(count >= 0)
            return Array(target[..<count])
        default: return []
        }
    }
}

/// The last block of each file: where a view shows too little or too much if it is wrong.
enum LastBlocks {
    static func expectRight(_ source: String, _ view: String, location: SourceLocation) throws {
        let root = try OwnedDescriptor.open(view, O_RDONLY | O_DIRECTORY)
        try TreeFacts.forEach(source) { path, directory, name, status in
            guard status.kind == .file, status.size > 0 else { return }
            let bytes = try Files.read(
                try OwnedDescriptor.open(bytes: name, O_RDONLY, at: directory), what: NameText.display(path))
            let start = (bytes.count - 1) / 4096 * 4096
            let file = try OwnedDescriptor.open(bytes: path, O_RDONLY, at: root.raw)
            var block = [UInt8](repeating: 1, count: 8192)
            let count = pread(file.raw, &block, 8192, off_t(start))
            #expect(
                count >= 0 && block[..<max(0, count)] == bytes[start...], "\(NameText.display(path))",
                sourceLocation: location)
            let map = try #require(mmap(nil, 4096, PROT_READ, MAP_SHARED, file.raw, off_t(start)))
            try #require(map != MAP_FAILED)
            defer { munmap(map, 4096) }
            let seen = UnsafeRawBufferPointer(start: map, count: 4096)
            #expect(
                seen.elementsEqual(bytes[start...] + [UInt8](repeating: 0, count: 4096 - (bytes.count - start))),
                "\(NameText.display(path)) mapped", sourceLocation: location)
        }
    }
}
