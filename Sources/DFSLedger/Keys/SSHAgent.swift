import DFSModel
import DFSSystem
import Glibc

/// Keys that an ssh-agent holds, reached through its Unix socket. Every call is a connection of its own and gives up
/// after five seconds.
package struct SSHAgent: Sendable {
    package struct Identity: Sendable, Equatable {
        package let key: PublicKey
        package let comment: String
    }

    package let socket: String
    private static let seconds: UInt64 = 5
    /// What the agent's protocol calls its messages.
    private enum Message {
        static let failure: UInt8 = 5
        static let requestIdentities: UInt8 = 11
        static let identities: UInt8 = 12
        static let requestSignature: UInt8 = 13
        static let signature: UInt8 = 14
    }

    /// `socket` is what `SSH_AUTH_SOCK` holds.
    package init(socket: String) { self.socket = socket }

    /// The Ed25519 keys that the agent holds.
    package func identities() throws(DFSError) -> [Identity] {
        let answer = try ask([Message.requestIdentities])
        var reader = WireReader(answer)
        guard reader.byte() == Message.identities, let count = reader.integer() else {
            throw problem("it does not list its keys")
        }
        var found = [Identity]()
        for _ in 0..<count {
            guard let blob = reader.string(), let comment = reader.string() else {
                throw problem("its list of keys is malformed")
            }
            if let key = PublicKey(blob: blob) {
                found.append(Identity(key: key, comment: String(decoding: comment, as: UTF8.self)))
            }
        }
        return found
    }

    /// A signer for `key`, which the agent must hold. `path` is the file that named the key, for the hint.
    package func signer(for key: PublicKey, path: String? = nil) throws(DFSError) -> any Signer {
        guard try identities().contains(where: { $0.key == key }) else {
            throw DFSError(
                .operational, "cannot sign with key \(key.id.text)", cause: "the ssh-agent does not hold it",
                hint: "ssh-add \(path.map { $0.hasSuffix(".pub") ? String($0.dropLast(4)) : $0 } ?? "")")
        }
        return AgentSigner(agent: self, publicKey: key)
    }

    fileprivate func signature(_ data: [UInt8], by key: PublicKey) throws(DFSError) -> [UInt8] {
        var request = WireWriter()
        request.raw([Message.requestSignature])
        request.string(key.blob)
        request.string(data)
        request.integer(0)
        var reader = WireReader(try ask(request.bytes))
        guard reader.byte() == Message.signature, let blob = reader.string() else {
            throw problem("it refused to sign with \(key.id.text)")
        }
        var inner = WireReader(blob)
        guard inner.text() == PublicKey.algorithm, let signature = inner.string(), inner.isAtEnd,
            key.isValid(signature: signature, for: data)
        else { throw problem("its signature does not match") }
        return signature
    }

    private func problem(_ cause: String) -> DFSError {
        DFSError(.operational, "cannot use the ssh-agent at \(socket)", cause: cause, hint: "ssh-add -l")
    }

    /// Sends one request and returns the body of the answer.
    private func ask(_ request: [UInt8]) throws(DFSError) -> [UInt8] {
        let connection = try connect()
        var message = WireWriter()
        message.string(request)
        let deadline = Clock.monotonic() + Self.seconds * 1_000_000_000
        try send(message.bytes, to: connection, deadline: deadline)
        var header = WireReader(try receive(4, from: connection, deadline: deadline))
        guard let length = header.integer(), (1...(1 << 18)).contains(length) else {
            throw problem("its answer is malformed")
        }
        return try receive(Int(length), from: connection, deadline: deadline)
    }

    private func connect() throws(DFSError) -> OwnedDescriptor {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socket.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.count < capacity else { throw problem("the socket's path is too long") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let connection = OwnedDescriptor(
            adopting: try System.call("cannot make a socket") {
                Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
        var patience = timeval(tv_sec: Int(Self.seconds), tv_usec: 0)
        let width = socklen_t(MemoryLayout<timeval>.size)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            try System.call("cannot set a time limit on a socket") {
                setsockopt(connection.raw, SOL_SOCKET, option, &patience, width)
            }
        }
        let result = withUnsafeBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { rebound in
                Glibc.connect(connection.raw, rebound.baseAddress, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            throw System.error(errno, "cannot reach the ssh-agent at \(socket)").hinting("eval $(ssh-agent)")
        }
        return connection
    }

    private func send(_ bytes: [UInt8], to connection: OwnedDescriptor, deadline: UInt64) throws(DFSError) {
        var done = 0
        while done < bytes.count {
            try wait(connection, for: POLLOUT, until: deadline)
            done += try System.call("cannot write to the ssh-agent at \(socket)") {
                bytes[done...].withUnsafeBytes {
                    Glibc.send(connection.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }

    private func receive(_ count: Int, from connection: OwnedDescriptor, deadline: UInt64) throws(DFSError) -> [UInt8] {
        var out = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: min(count, 1 << 16))
        while out.count < count {
            try wait(connection, for: POLLIN, until: deadline)
            let n = try System.call("cannot read from the ssh-agent at \(socket)") {
                buffer.withUnsafeMutableBytes {
                    recv(connection.raw, $0.baseAddress, min($0.count, count - out.count), 0)
                }
            }
            guard n > 0 else { throw problem("it closed the connection") }
            out += buffer[..<n]
        }
        return out
    }

    private func wait(_ connection: OwnedDescriptor, for event: Int32, until deadline: UInt64) throws(DFSError) {
        let now = Clock.monotonic()
        var request = pollfd(fd: connection.raw, events: Int16(event), revents: 0)
        let left = now < deadline ? Int32((deadline - now) / 1_000_000) + 1 : 0
        let ready = try System.call("cannot wait for the ssh-agent at \(socket)") { poll(&request, 1, left) }
        guard ready > 0 else { throw problem("it did not answer within \(Self.seconds) seconds") }
    }
}

/// Signs through an agent.
private struct AgentSigner: Signer {
    let agent: SSHAgent
    let publicKey: PublicKey

    func sign(_ message: [UInt8]) throws(DFSError) -> [UInt8] {
        SSHSIG.blob(key: publicKey, signature: try agent.signature(SSHSIG.toBeSigned(message), by: publicKey))
    }
}
