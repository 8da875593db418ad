import DFSModel
import DFSSystem
import Glibc

/// Finds the files that Git LFS keeps elsewhere: a small text stands in their place until their content is fetched.
struct LargeFilePointers {
    let git: GitCommand

    /// The first line of a pointer (github.com/git-lfs/git-lfs, docs/spec.md), which is smaller than this many bytes.
    private static let firstLine = Array("version https://git-lfs.github.com/spec/v1\n".utf8)
    private static let sizeLimit: UInt64 = 1024

    func look(in top: String) -> GitFacts.LargeFiles {
        var found = GitFacts.LargeFiles()
        switch git.run(["ls-files", "-z", "--", ":(attr:filter=lfs)"]) {
        case .failure(let failure): found.failure = failure.text
        case .success(let output):
            guard let directory = try? OwnedDescriptor.open(top, O_RDONLY | O_DIRECTORY) else { return found }
            NulTerminated.forEach(output) { record in
                found.files += 1
                let path = Array(record)
                if Self.isPointer(path, directory) { found.pointers.append(path) }
            }
        }
        return found
    }

    private static func isPointer(_ path: [UInt8], _ directory: OwnedDescriptor) -> Bool {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        guard let status = (try? FileStatus.of(path, at: directory.raw)) ?? nil, status.kind == .file,
            status.size < sizeLimit, let file = try? OwnedDescriptor.open(bytes: path, flags, at: directory.raw),
            let bytes = try? Files.read(file, what: "a pointer", limit: 4096)
        else { return false }
        return bytes.starts(with: firstLine)
    }
}
