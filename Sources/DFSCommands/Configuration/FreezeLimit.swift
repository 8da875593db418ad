import DFSModel

extension CommandContext {
    private static let defaultFreezeLimit: UInt64 = 20 << 30

    /// How large an environment may be that is frozen: `DFS_FREEZE_LIMIT`, else `freeze-limit` of the project, else 20 GiB; 0
    /// freezes none.
    func freezeLimit(_ project: ProjectFile?) throws(DFSError) -> UInt64 {
        guard let text = environment["DFS_FREEZE_LIMIT"] else {
            return project?.run.freezeLimit?.value ?? Self.defaultFreezeLimit
        }
        do throws(DFSError) { return try ByteCount.parse(text).value } catch {
            throw DFSError(
                .usage, "DFS_FREEZE_LIMIT is not a size: \(text)", cause: error.cause, hint: "unset DFS_FREEZE_LIMIT")
        }
    }
}
