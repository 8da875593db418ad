import CLinux
import DFSFuse
import DFSModel
import DFSSystem
import Glibc

/// The process that owns a mount: `dfs __supervise FD MOUNTPOINT`. It holds the kernel's end of the connection, so that the
/// mount outlives its server; starts the server, and another when that one dies, hangs or stops. The kernel gives the next
/// one what the last had taken and not answered, so that readers see a pause.
///
/// One thread, no store, and no system call that could wait for the mount.
final class MountSupervisor {
    private enum Phase {
        case serving
        /// The next server starts at this time.
        case waiting(until: UInt64)
        /// The connection is gone. Once the store can be served again, which is tried at this time, it is mounted anew.
        case broken(until: UInt64)
        /// Killed then, if it has not ended.
        case ending(until: UInt64)
        case ended
    }

    private static let longestPause: UInt64 = 500
    /// Milliseconds without a server after which those who wait get an error.
    private static let longestGap: UInt64 = 10000

    private let request: ServeRequest
    private let signals: OwnedDescriptor
    private var connection: FuseConnection
    private var legacy: Legacy
    private var server: SupervisedServer?
    private var probe: (child: ChildProcess, until: UInt64)?
    private var phase = Phase.serving
    private var supervision: MountRegistry.Supervision
    private var pause: UInt64 = 0
    /// Since when nobody serves.
    private var gap: UInt64?
    private var hasServed = false
    private var detachesAtEnd = false
    /// Between two connections.
    private var isDetached = false

    /// What a server leaves to the next.
    private struct Legacy {
        let handshake, records, liveFiles, backing: OwnedDescriptor

        init() throws(DFSError) {
            func memory(_ name: String) throws(DFSError) -> OwnedDescriptor {
                OwnedDescriptor(
                    adopting: try System.call("cannot make a file in memory") { clinux_memfd("dfs-" + name) })
            }
            handshake = try memory("handshake")
            records = try memory("records")
            liveFiles = try memory("live-files")
            backing = try memory("backing")
        }

        var canGoOn: Bool { Handshake(handshake).canGoOn }
        var hasBegun: Bool { Handshake(handshake).isSettled }
    }

    /// Mounts and starts the first server, which answers whoever asked for the mount.
    init(_ request: ServeRequest, answer: OwnedDescriptor?) throws(DFSError) {
        self.request = request
        signals = OwnedDescriptor(
            adopting: try System.call("cannot watch signals") {
                clinux_signal_descriptor([SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1], 5)
            })
        supervision = MountRegistry.Supervision(supervisor: try .own())
        connection = try FuseConnection(mounting: request.mountOptions())
        do throws(DFSError) {
            legacy = try Legacy()
            try start(answer: answer)
        } catch {
            try? connection.detach()
            throw error
        }
    }

    // MARK: The loop

    func run() {
        while true {
            if case .ended = phase { break }
            wait()
            handleSignals()
            reap()
            listen()
            step()
        }
        finish()
    }

    private func wait() {
        var watched = [pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0)]
        if let server { watched.append(pollfd(fd: server.line.raw, events: Int16(POLLIN), revents: 0)) }
        // Not the connection: the kernel would wake this process for every request. Its end is seen by the server, which ends
        // too, and here at the next look.
        let now = SupervisedServer.now()
        let rest: UInt64 =
            switch phase {
            case .serving: server?.isSuspicious == true ? 50 : 1000
            case .waiting(let until): until > now ? until - now : 0
            case .broken(let until): min(100, until > now ? until - now : 100)
            case .ending, .ended: 50
            }
        poll(&watched, nfds_t(watched.count), Int32(clamping: rest))
        // A server whose end of the line is closed is about to be reaped.
        if watched.count > 1, watched[1].revents & Int16(POLLHUP) != 0 { usleep(2000) }
    }

    private func handleSignals() {
        while true {
            switch clinux_next_signal(signals.raw) {
            case 0: return
            case SIGCHLD: break
            case SIGUSR1: server?.hurry()
            default: end()
            }
        }
    }

    private func reap() {
        var status: Int32 = 0
        while true {
            let pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)
            guard pid > 0 else { return }
            if status & 0xff == 0x7f || status == 0xffff {
                if pid == server?.child.pid { server?.noteStopped(status != 0xffff) }
            } else if pid == server?.child.pid {
                serverEnded(status)
            } else if pid == probe?.child.pid {
                probe = nil
                if status == 0 { mountAnew() } else { phase = .broken(until: SupervisedServer.now() + 2000) }
            }
        }
    }

    private func listen() {
        guard server?.listen() == true, server?.complaint == nil else { return }
        supervision.looks += 1
        note()
    }

    private func step() {
        let now = SupervisedServer.now()
        switch phase {
        case .serving:
            if connection.isEnded { return connectionEnded() }
            watchServer()
        case .waiting(let until):
            if connection.isEnded { return connectionEnded() }
            if now >= until { startNext() }
        case .broken(let until):
            if let probe {
                if now >= probe.until { kill(probe.child.pid, SIGKILL) }
            } else if now >= until {
                startProbe()
            }
        case .ending(let until):
            if server == nil {
                phase = .ended
            } else if now >= until {
                server?.kill("it did not end")
                if server?.isBeyondKilling == true { phase = .ended }
            }
        case .ended: break
        }
    }

    private func watchServer() {
        guard let current = server else { return startNext() }
        if current.isBeyondKilling {
            server = nil
            return serverDied(current, current.killed?.reason ?? "it hangs")
        }
        if current.servesSince != nil {
            hasServed = true
            gap = nil
        }
        switch current.complaint {
        case nil: server?.ask()
        case .replace(let reason): server?.kill(reason)
        case .giveUp(let reason): breakConnection(reason)
        }
    }

    // MARK: Servers

    private func start(answer: OwnedDescriptor?) throws(DFSError) {
        guard let descriptor = connection.descriptor else { return }
        let line = try Heartbeat.line()
        var request = request
        request.answer = answer?.raw ?? -1
        request.parent = getpid()
        request.inherited = ServeRequest.Inherited(
            connection: descriptor.raw, number: connection.number, handshake: legacy.handshake.raw,
            records: legacy.records.raw, liveFiles: legacy.liveFiles.raw, backing: legacy.backing.raw,
            control: line.server.raw)
        let child = try spawn(
            request,
            [descriptor, legacy.handshake, legacy.records, legacy.liveFiles, legacy.backing, line.server]
                + (answer.map { [$0] } ?? []))
        server = SupervisedServer(child: child, line: line.supervisor)
        phase = .serving
        supervision.server = child.pid
        supervision.state = .serving
        note()
    }

    private func spawn(_ request: ServeRequest, _ inherited: [OwnedDescriptor]) throws(DFSError) -> ChildProcess {
        let log = OwnedDescriptor(adopting: try System.call("no log") { clinux_fcntl(2, F_DUPFD_CLOEXEC, 3) })
        return try request.start("__serve", output: log, inherited: inherited)
    }

    private func serverEnded(_ status: Int32) {
        server?.listen()
        guard let ended = server else { return }
        server = nil
        if case .ending = phase { return }
        if case .broken = phase { return }
        if !hasServed, ended.servesSince == nil, !legacy.hasBegun, supervision.restarts == 0 {
            // It has said why to whoever asked for the mount.
            detachesAtEnd = true
            phase = .ended
            return
        }
        if connection.isEnded { return connectionEnded() }
        // It was told to end, and has unmounted.
        if status == 0, !connection.isMounted {
            phase = .ended
            return
        }
        serverDied(ended, ended.killed?.reason ?? Self.describe(status))
    }

    private static func describe(_ status: Int32) -> String {
        status & 0x7f == 0
            ? "it ended with exit code \(status >> 8 & 0xff)" : "it was killed by signal \(status & 0x7f)"
    }

    private func serverDied(_ ended: SupervisedServer, _ reason: String) {
        let now = SupervisedServer.now()
        supervision.restarts += 1
        supervision.reason = reason
        supervision.restarted = Clock.now()
        supervision.state = .restarting
        guard legacy.canGoOn else { return breakConnection(reason) }
        let began = gap ?? now
        gap = began
        if let since = ended.servesSince, now - since >= 2000 {
            pause = 0
        } else {
            pause = min(max(10, pause * 2), Self.longestPause)
        }
        if ended.servesSince == nil, now - began >= Self.longestGap {
            return breakConnection("no server could be started")
        }
        Serve.log("the server (process \(ended.child.pid)) is replaced in \(pause) ms: \(reason)")
        phase = .waiting(until: now + pause)
        note()
    }

    private func startNext() {
        do throws(DFSError) {
            try start(answer: nil)
        } catch {
            Serve.log("cannot start a server: \(error.description)")
            phase = .waiting(until: SupervisedServer.now() + Self.longestPause)
            if let gap, SupervisedServer.now() - gap >= Self.longestGap { breakConnection(error.what) }
        }
    }

    // MARK: Connections

    private func connectionEnded() {
        // Unmounted: the server sees it as well, and ends.
        guard connection.isMounted else { return phase = .ending(until: SupervisedServer.now() + 3000) }
        breakConnection("the kernel has ended the connection")
    }

    /// Lets go all who wait. The mount stays in sight, so that nobody takes the empty directory below for data.
    private func breakConnection(_ reason: String) {
        Serve.log("the connection is given up: \(reason)")
        server?.kill(reason)
        server = nil
        connection.abort()
        supervision.state = .broken
        supervision.reason = reason
        supervision.restarted = Clock.now()
        phase = .broken(until: SupervisedServer.now())
        note()
    }

    /// Whether the store can be opened is found out by a process that may hang.
    private func startProbe() {
        guard isDetached || connection.isMounted else { return phase = .ending(until: 0) }
        let now = SupervisedServer.now()
        var request = request
        request.isProbe = true
        request.answer = -1
        do throws(DFSError) {
            probe = (try spawn(request, []), now + 15000)
        } catch {
            phase = .broken(until: now + 2000)
        }
    }

    private func mountAnew() {
        do throws(DFSError) {
            if !isDetached { try connection.detach() }
            isDetached = true
            let fresh = try Legacy()
            connection = try FuseConnection(mounting: request.mountOptions())
            isDetached = false
            legacy = fresh
            gap = nil
            supervision.restarts += 1
            try start(answer: nil)
            Serve.log("mounted anew on \(connection.mountpoint)")
        } catch {
            Serve.log("cannot mount anew: \(error.description)")
            phase = .broken(until: SupervisedServer.now() + 2000)
        }
    }

    // MARK: The end

    private func end() {
        if case .ending = phase { return }
        detachesAtEnd = true
        if let server { kill(server.child.pid, SIGTERM) }
        phase = .ending(until: SupervisedServer.now() + 3000)
    }

    private func finish() {
        if detachesAtEnd {
            do throws(DFSError) { try connection.detach() } catch { Serve.log(error.description) }
        }
        if let probe { kill(probe.child.pid, SIGKILL) }
        if let directory = request.registry {
            let registry = MountRegistry(directory: directory)
            if registry.supervision(of: request.mountpoint)?.supervisor == supervision.supervisor {
                registry.remove(request.mountpoint)
            }
        }
        if request.endsWithParent { rmdir(request.mountpoint) }
    }

    private func note() {
        guard let directory = request.registry else { return }
        try? MountRegistry(directory: directory).set(supervision, of: request.mountpoint)
    }
}

/// The command `dfs __supervise FD MOUNTPOINT`.
enum Supervise {
    static func run(arguments: [String]) -> Int32 {
        // What ps shows; this program was started through /proc/self/exe.
        withCName(Array("dfs-supervisor".utf8)) { _ = clinux_prctl(15, UInt(bitPattern: $0)) }
        signal(SIGPIPE, SIG_IGN)
        guard let request = ServeRequest(passedIn: arguments) else { return ExitCode.usage.rawValue }
        // Passed on to the first server, and to no other program.
        if request.answer >= 0 { _ = clinux_fcntl(request.answer, F_SETFD, Int(FD_CLOEXEC)) }
        var answer = request.answer >= 0 ? OwnedDescriptor(adopting: request.answer) : nil
        do throws(DFSError) {
            if request.endsWithParent {
                _ = clinux_prctl(1, UInt(SIGTERM))
                if getppid() != request.parent {
                    throw DFSError(.launcher, "the launcher has ended", hint: "dfs doctor")
                }
            }
            guard chdir("/") == 0 else { throw System.error(errno, "cannot change to /") }
            let supervisor = try MountSupervisor(request, answer: answer)
            // The server's now.
            answer = nil
            supervisor.run()
            return 0
        } catch {
            if let answer { Serve.answer(answer, error) }
            Serve.log("cannot serve \(request.mountpoint): \(error.what)")
            return ExitCode(error.code).rawValue
        }
    }
}
