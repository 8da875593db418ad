import DFSHistory
import DFSModel
import DFSSystem
import Glibc

/// Compares what a commit may need with what is free, before the first byte.
struct SpaceCheck {
    let source: String
    let filter: (any CaptureFilter)?
    let threads: Int

    /// Below this much free space the growth of a dataset that has versions is looked at too.
    private static let nearlyFull: UInt64 = 1 << 30

    /// Refuses when a first version is larger than what is free, or a later one grows by more. `known` is what the latest
    /// version holds. Walks the source only when the file system that holds it is fuller than the store's has room.
    /// `resumable`: what an interrupted commit has stored already.
    func run(store: String, known: UInt64?, resumable: UInt64) throws(DFSError) {
        var s = statvfs()
        try System.call("cannot ask \(store) for its free space") { statvfs(store, &s) }
        let free = UInt64(s.f_bavail) * UInt64(s.f_frsize)
        if known != nil, free >= Self.nearlyFull, UInt64(s.f_bavail) >= UInt64(s.f_blocks) / 50 { return }
        var t = statvfs()
        guard statvfs(source, &t) == 0 else { return }
        guard free < (UInt64(t.f_blocks) - UInt64(t.f_bfree)) * UInt64(t.f_frsize) else { return }
        let total = try total()
        let needed = total - min(total, max(known ?? 0, resumable))
        guard needed > free else { return }
        throw DFSError(
            .operational, "there is no room for \(source)",
            cause: "it needs up to \(ByteCount(needed)), \(ByteCount(free)) are free in \(store); nothing was written",
            hint: "df -h \(ShellText.quote(store))", errno: ENOSPC)
    }

    /// Bytes of regular files, holes left out.
    private func total() throws(DFSError) -> UInt64 {
        let sum = Counter()
        let stack = WorkStack<[UInt8]>()
        stack.push([[]] as [[UInt8]])
        let root = Array(source.utf8)
        try stack.run(threads: threads) { _, path throws(DFSError) in
            let full = path.isEmpty ? root : root + [0x2f] + path
            // What cannot be read is the capture's to report.
            guard let directory = try? OwnedDescriptor.open(bytes: full, O_RDONLY | O_DIRECTORY, at: AT_FDCWD) else {
                return
            }
            var below = [[UInt8]]()
            for name in try DirectoryListing.names(of: directory) {
                guard let status = try FileStatus.of(name, at: directory.raw) else { continue }
                let child = path.isEmpty ? name : path + [0x2f] + name
                if let filter = self.filter, !filter.includes(child, isDirectory: status.kind == .directory) {
                    continue
                }
                if status.kind == .directory { below.append(child) }
                if status.kind == .file { sum.increment(by: Int(min(status.size, status.blocks * 512))) }
            }
            stack.push(below)
        }
        return UInt64(sum.current)
    }
}
