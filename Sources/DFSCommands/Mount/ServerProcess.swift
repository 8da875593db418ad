import CLinux
import DFSFuse
import DFSModel
import DFSSystem
import DFSVirtual
import Glibc

/// A supervisor that this process started, and the server that it started.
struct ServerProcess {
    let child: ChildProcess
    let mountpoint: String
    /// As it was chosen; `nil` of one whose start was not waited for.
    var serving: Serving?
    /// The process that serves, which may be a child of the child.
    let server: Int32

    static let executable = "/proc/self/exe"

    /// Starts it without waiting, so that other work goes on meanwhile; `waitUntilServing` ends the start.
    struct Starting {
        let child: ChildProcess
        let mountpoint: String
        let answer: OwnedDescriptor

        /// Waits until the mount serves, or throws why it does not.
        func waitUntilServing() throws(DFSError) -> ServerProcess {
            let bytes = try Files.read(answer, what: "the server's answer", limit: 1 << 16)
            guard !bytes.isEmpty, let json = try? JSONValue.parse(bytes) else {
                throw DFSError(
                    .cannotServe, "the server of \(mountpoint) ended without a word", hint: "dfs mount --foreground")
            }
            guard let what = json["what"]?.string else {
                let serving = json["serve"]?.string.flatMap { ServeMode(rawValue: $0) }.map { mode in
                    Serving(mode: mode, why: json["why"]?.string ?? "")
                }
                let server = json["pid"]?.integer.flatMap { Int32(exactly: $0) } ?? child.pid
                return ServerProcess(child: child, mountpoint: mountpoint, serving: serving, server: server)
            }
            _ = child.wait(milliseconds: 1000)
            throw DFSError(
                json["code"]?.string.flatMap { DFSError.Code(rawValue: $0) } ?? .cannotServe, what,
                cause: json["cause"]?.string, hint: json["hint"]?.string)
        }
    }

    static func start(_ request: ServeRequest) throws(DFSError) -> Starting {
        var ends: [Int32] = [-1, -1]
        try System.call("cannot make a pipe") { clinux_pipe(&ends) }
        let reading = OwnedDescriptor(adopting: ends[0]), writing = OwnedDescriptor(adopting: ends[1])
        var request = request
        request.answer = writing.raw
        request.parent = getpid()
        var log: OwnedDescriptor?
        if let path = request.log {
            try Files.makeDirectories(Files.parent(path), mode: 0o700)
            log = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        }
        let child = try request.start("__supervise", output: log, inherited: [writing])
        return Starting(child: child, mountpoint: request.mountpoint, answer: reading)
    }

    /// Tells it to end and waits; as a last resort the mount is taken out of sight and its connection ended.
    func stop() {
        kill(child.pid, SIGTERM)
        let hasEnded = child.wait(milliseconds: 3000)
        // A server that was killed has not unmounted.
        Self.unmount(MountTable.canonical(mountpoint))
        if hasEnded { return }
        kill(child.pid, SIGKILL)
        _ = child.wait(milliseconds: 1000)
        // It may have mounted only now.
        Self.unmount(MountTable.canonical(mountpoint))
    }

    /// Ends a mount of ours whatever its server does. `path` is as the mount table has it.
    static func unmount(_ path: String) {
        guard let mount = try? MountTable.mount(at: path), mount.isOurs else { return }
        MountTable.abort(mount)
        try? MountTable.unmount(path, lazy: true)
    }
}
