import CLinux
import DFSModel
import DFSSystem
import Glibc

extension ServeRequest {
    /// Starts `dfs COMMAND` with this request. It goes through a file in memory: every user of the host may read command lines,
    /// and what a run is denied is none of theirs. The mountpoint, which the mount table shows anyway, tells the process in ps.
    func start(
        _ command: String, output: OwnedDescriptor?, inherited: [OwnedDescriptor]
    ) throws(DFSError) -> ChildProcess {
        let memory = OwnedDescriptor(
            adopting: try System.call("cannot make a file in memory") { clinux_memfd("dfs-request") })
        try Files.write(json.canonicalBytes, to: memory.raw, what: "the request")
        // The child reads on where this process stands.
        _ = try System.call("cannot read a file in memory") { lseek(memory.raw, 0, SEEK_SET) }
        return try ChildProcess.start(
            ServerProcess.executable, arguments: ["dfs", command, String(memory.raw), mountpoint], output: output,
            inherited: inherited + [memory])
    }

    /// The request that `start` gave to this process.
    init?(passedIn arguments: [String]) {
        guard let number = arguments.first.flatMap({ Int32($0) }), number > 2 else { return nil }
        let memory = OwnedDescriptor(adopting: number)
        guard let bytes = try? Files.read(memory, what: "the request"), let json = try? JSONValue.parse(bytes) else {
            return nil
        }
        self.init(json)
    }
}
