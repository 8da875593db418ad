import DFSLedger
import DFSModel
import DFSSystem
import Glibc
import Testing

/// A real ssh-agent, ended by its id.
private final class RunningAgent {
    let socket: String
    private let pid: pid_t

    init(in scratch: Scratch) throws {
        socket = scratch.path + "/agent"
        pid = try start(["ssh-agent", "-D", "-a", socket], in: scratch, output: "agent-output")
        for _ in 0..<500 where !Files.exists(socket) { usleep(10_000) }
    }

    func end() {
        kill(pid, SIGTERM)
        waitpid(pid, nil, 0)
    }
}

/// A socket that answers every connection with the same bytes, or not at all.
private final class FalseAgent: Sendable {
    let socket: String
    private let listener: OwnedDescriptor

    init(in scratch: Scratch) throws {
        socket = scratch.path + "/" + Randomness.hex(bytes: 4)
        listener = OwnedDescriptor(adopting: Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socket.utf8)) }
        let bound = withUnsafeBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) {
                bind(listener.raw, $0.baseAddress, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(listener.raw, 5) == 0)
    }

    /// Waits for one connection, reads what it says and answers.
    func answerOnce(_ bytes: [UInt8]) {
        let connection = accept(listener.raw, nil, nil)
        var buffer = [UInt8](repeating: 0, count: 4096)
        _ = recv(connection, &buffer, buffer.count, 0)
        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        close(connection)
    }
}

struct AgentTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func makeKey(_ name: String, passphrase: String = "") throws -> String {
        let path = scratch.path + "/" + name
        let made = try execute(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", path], in: scratch)
        try #require(made.status == 0)
        return path
    }

    @Test func signsThroughARealAgent() throws {
        let agent = try RunningAgent(in: scratch)
        defer { agent.end() }
        let held = try makeKey("held")
        let other = try makeKey("other")
        let added = try execute(["ssh-add", "-q", held], in: scratch, environment: ["SSH_AUTH_SOCK": agent.socket])
        try #require(added.status == 0, "\(added.output)")
        let key = try #require(try KeyFile.publicKey(at: held + ".pub"))
        let identities = try SSHAgent(socket: agent.socket).identities()
        #expect(identities.map(\.key) == [key])
        #expect(identities.map(\.comment) == ["held"])

        let signer = try #require(try KeyFile.load(held + ".pub", agentSocket: agent.socket))
        let message = Randomness.bytes(100_000)
        #expect(SSHSIG.problem(try signer.sign(message), message: message, key: key) == nil)

        let missing = failure { _ = try KeyFile.load(other + ".pub", agentSocket: agent.socket) }
        #expect(missing?.hint == "ssh-add \(other)")
        #expect(failure { _ = try KeyFile.load(held + ".pub") }?.cause?.contains("no ssh-agent") == true)
    }

    @Test func encryptedKeyFileStandsForTheAgentsKey() throws {
        let agent = try RunningAgent(in: scratch)
        defer { agent.end() }
        let locked = try makeKey("locked", passphrase: "secret")
        let asking = try scratch.write("ask", "#!/bin/sh\necho secret\n", mode: 0o700)
        let added = try execute(
            ["ssh-add", "-q", locked], in: scratch,
            environment: [
                "SSH_AUTH_SOCK": agent.socket, "SSH_ASKPASS": asking, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0",
            ])
        try #require(added.status == 0, "\(added.output)")
        let signer = try KeyFile.load(orCreateAt: locked, agentSocket: agent.socket)
        #expect(SSHSIG.problem(try signer.sign([1]), message: [1], key: signer.publicKey) == nil)
    }

    @Test func agentThatIsGoneIsAnError() throws {
        let socket = scratch.path + "/nobody"
        let error = failure { _ = try SSHAgent(socket: socket).identities() }
        #expect(error?.errno == ENOENT)
        #expect(error?.what == "cannot reach the ssh-agent at \(socket)")
        let long = "/" + String(repeating: "x", count: 200)
        #expect(failure { _ = try SSHAgent(socket: long).identities() }?.cause?.contains("too long") == true)
    }

    @Test(
        arguments: [
            [], [0], [0, 0, 0, 0], [0, 0, 0, 1, 5], [0, 0, 0, 9, 12, 0, 0], [0xff, 0xff, 0xff, 0xff, 12],
            [0, 0, 0, 1, 12],
            [0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff], [0, 0, 0, 9, 12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        ] as [[UInt8]])
    func falseAnswerIsAnError(answer: [UInt8]) throws {
        let agent = try FalseAgent(in: scratch)
        let socket = agent.socket
        onThreads(2) { thread in
            if thread == 0 { return agent.answerOnce(answer) }
            #expect(failure { _ = try SSHAgent(socket: socket).identities() }?.code == .operational)
        }
    }

    @Test func silentAgentIsGivenUp() throws {
        let agent = try FalseAgent(in: scratch)
        let error = failure { _ = try SSHAgent(socket: agent.socket).identities() }
        #expect(error?.cause == "it did not answer within 5 seconds")
    }
}
