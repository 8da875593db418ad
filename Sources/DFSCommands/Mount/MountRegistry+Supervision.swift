import DFSModel
import DFSSystem
import Glibc

/// What the supervisor of a mount says of it, in a file beside that of the server; reading it asks the mount nothing.
extension MountRegistry {
    struct Supervision: Sendable {
        enum State: String, Sendable { case serving, restarting, broken }

        let supervisor: ProcessIdentity
        /// The server's process.
        var server: Int32?
        var state = State.serving
        /// How often a server was replaced, and of the last time why and when.
        var restarts = 0
        var reason: String?
        var restarted: Timestamp?
        /// How often it was made to look and its server answered.
        var looks = 0

        var json: JSONValue {
            [
                "supervisor": supervisor.json, "server": server.map { .integer(Int64($0)) } ?? .null,
                "state": .string(state.rawValue), "restarts": .integer(Int64(restarts)),
                "reason": reason.map { .string($0) } ?? .null,
                "restarted": restarted.map { .string($0.description) } ?? .null, "looks": .integer(Int64(looks)),
            ]
        }

        init(supervisor: ProcessIdentity) { self.supervisor = supervisor }

        init?(_ json: JSONValue) {
            guard let supervisor = json["supervisor"].flatMap({ ProcessIdentity(json: $0) }),
                let state = json["state"]?.string.flatMap(State.init(rawValue:))
            else { return nil }
            self.supervisor = supervisor
            self.state = state
            server = json["server"]?.integer.flatMap { Int32(exactly: $0) }
            restarts = Int(json["restarts"]?.integer ?? 0)
            looks = Int(json["looks"]?.integer ?? 0)
            reason = json["reason"]?.string
            restarted = json["restarted"]?.string.flatMap { Timestamp(stored: $0) }
        }

        var isAlive: Bool { (try? supervisor.liveness()) == .alive }
    }

    func set(_ supervision: Supervision, of mountpoint: String) throws(DFSError) {
        try Files.makeDirectories(directory, mode: 0o700)
        let file = try DurableFile(temporaryDirectory: directory, mode: 0o600)
        try file.append(supervision.json.canonicalBytes)
        try file.replace(supervisionPath(mountpoint))
    }

    func supervision(of mountpoint: String) -> Supervision? {
        guard let bytes = try? Files.read(supervisionPath(mountpoint), limit: 1 << 16) else { return nil }
        return (try? JSONValue.parse(bytes)).flatMap { Supervision($0) }
    }

    /// Ends, for good, the processes that are noted for a mount.
    func killProcesses(of mountpoint: String) {
        // The supervisor first: it would start another server.
        let noted = [supervision(of: mountpoint)?.supervisor, record(mountpoint)?.server].compactMap { $0 }
        for process in noted where (try? process.liveness()) == .alive {
            kill(process.pid, SIGKILL)
            for _ in 0..<100 where (try? process.liveness()) == .alive { usleep(5000) }
        }
    }
}
