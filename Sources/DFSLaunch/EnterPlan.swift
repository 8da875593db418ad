import DFSModel

/// Everything the entering process does before it becomes the job. Paths are absolute and normal.
package struct EnterPlan: Sendable, Equatable {
    package enum Namespace: String, Sendable, CaseIterable {
        /// No view: the job sees the host as it is. Allows no steps.
        case none
        /// A mount namespace; needs CAP_SYS_ADMIN.
        case mount
        /// A mount namespace inside a user namespace in which `uid` and `gid` are mapped to themselves.
        case user
    }

    /// What a job may do in a bound tree, and so what may be made in it for mounts further down.
    package enum Access: String, Sendable, CaseIterable {
        /// Nothing in it can be changed through the view. A missing mountpoint is added by mirroring its directory.
        case readOnly = "read-only"
        /// The job writes to the real directory. A missing mountpoint in it is an error: it would appear on the host.
        case writable
        /// As `writable`, and the tree is the run's own (a copy): missing mountpoints are made in it.
        case scratch
    }

    /// One step of building the view. They are taken in order; what is inside something else comes after it.
    /// Sources mean the host's tree, however far it is covered by then; symlinks in them are followed.
    package enum Step: Sendable, Equatable {
        /// An empty directory of its own (tmpfs), in which later steps make what they need; read-only at the end.
        case skeleton(at: RawPath)
        case directory(RawPath)
        case symlink(RawPath, target: [UInt8])
        case bind(source: RawPath, at: RawPath, Access)
        /// A writable layer over directories, the first of which is on top. `layer` is a directory on a file system
        /// that can hold it; `layer/upper` receives what the job writes, `layer/work` is the kernel's.
        /// Mountpoints of later steps inside it, and the working directory, are provided and do not show in `upper`.
        case overlay(at: RawPath, lower: [RawPath], layer: RawPath)
        /// What stands under `paths` (relative) in `real`, read-only, at the same place below `at`. Symlinks are made
        /// again. What does not exist is left out. Comes before the steps that mount inside one of them.
        case visible(real: RawPath, at: RawPath, paths: [[UInt8]])
    }

    package var namespace: Namespace
    /// Namespaces of a view that exists, in the order in which they are entered; then nothing is built (`namespace` is `.none`).
    package var joins: [RawPath] = []
    /// Who the job runs as. With `.user` they are the caller's own.
    package var uid: UInt32
    package var gid: UInt32
    package var steps: [Step] = []
    /// Where the job starts, inside the view.
    package var workingDirectory: RawPath
    /// `NAME=VALUE`, all of them; its PATH, inside the view, finds the command.
    package var environment: [[UInt8]]
    package var arguments: [[UInt8]]
    /// Files, never links, to which the job's output is appended (made 0644 if need be); `nil` leaves the caller's.
    package var standardOutput: RawPath?
    package var standardError: RawPath?
    /// The launcher, with whose death the job dies; 0 for none. `Supervisor` sets it.
    package var parent: Int32 = 0
    /// An open descriptor for the answer (`EnterAnswer`); -1 writes errors to stderr. `Supervisor` sets it.
    package var status: Int32 = -1
    /// Whether the command waits until the launcher has seen the view (`Supervisor.run`'s `onReady`).
    package var waits = false
    /// An open descriptor from which one byte lets the command begin; its end ends the entering process. -1 for none.
    /// `Supervisor` sets it.
    package var gate: Int32 = -1
    /// Uses no system call younger than Linux 5.12, as on a kernel that lacks them.
    package var avoidsNewCalls = false

    package init(
        namespace: Namespace, uid: UInt32, gid: UInt32, workingDirectory: RawPath, environment: [[UInt8]],
        arguments: [[UInt8]]
    ) {
        self.namespace = namespace
        self.uid = uid
        self.gid = gid
        self.workingDirectory = workingDirectory
        self.environment = environment
        self.arguments = arguments
    }
}
