import CLMDB
import DFSModel
import DFSSystem
import Glibc

/// What LMDB's return codes mean here.
enum LMDB {
    /// Whether the code says that the file is not what it should be: the index is made anew.
    static func isDamage(_ code: Int32) -> Bool {
        switch code {
        case MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_PANIC, MDB_VERSION_MISMATCH, MDB_INVALID, MDB_INCOMPATIBLE,
            MDB_CURSOR_FULL, MDB_PAGE_FULL, MDB_BAD_DBI, MDB_DBS_FULL, EIO:
            true
        default: false
        }
    }

    static func error(_ code: Int32, _ operation: String) -> DFSError {
        if code > 0 { return System.error(code, operation) }
        let cause = mdb_strerror(code).map { String(cString: $0) }
        return DFSError(isDamage(code) ? .corrupt : .operational, operation, cause: cause)
    }
}

extension MDB_val {
    init(_ buffer: UnsafeRawBufferPointer) {
        self.init(mv_size: buffer.count, mv_data: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: mv_data, count: mv_size) }
}

/// A named table as this process knows it.
struct Table: Sendable {
    let name: String
    let handle: MDB_dbi
    /// Where the checksums of its values start.
    let seed: UInt64

    /// Holds the identity; callers cannot name it.
    static let about = "_about"
    static let identityKey = Array("identity".utf8)
}
