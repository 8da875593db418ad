#if DEBUG || DFS_DEFECTS
    import DFSModel
    import Glibc

    /// Mistakes that can be planted on purpose, so that the harness (`tools/harness defects`) shows that it would see them.
    ///
    /// Only in debug builds and in those with `-Xswiftc -DDFS_DEFECTS`; one is chosen by `DFS_DEFECT=name`.
    package enum Defect: String, CaseIterable, Sendable {
        /// Files get their final names without having been fsynced.
        case skipFsync = "skip-fsync"
        /// Folders are not fsynced, so that names made in them may not last.
        case skipDirectoryFsync = "skip-directory-fsync"
        /// A failed fsync is taken for a success.
        case ignoreFailedFsync = "ignore-failed-fsync"
        /// Bytes taken from a pack are not compared with their digest.
        case skipHash = "skip-hash"
        /// The entry is appended before the metadata pack that it names has its name.
        case entryFirst = "entry-first"
        /// An entry replaces what stands under its number.
        case replaceEntry = "replace-entry"
        /// A server that goes on for another one does not know what that one's ids meant.
        case forgetIds = "forget-ids"

        private static let planted = getenv("DFS_DEFECT").flatMap { Defect(rawValue: String(cString: $0)) }

        package var isPlanted: Bool { Self.planted == self }

        /// What `entryFirst` puts off. Used by the one thread that finishes a commit.
        nonisolated(unsafe) private static var postponed: [() throws(DFSError) -> Void] = []

        package static func postpone(_ work: @escaping () throws(DFSError) -> Void) { postponed.append(work) }

        package static func catchUp() throws(DFSError) {
            while let work = postponed.popLast() { try work() }
        }
    }
#endif
