import CLinux
import DFSModel
import DFSSystem
import Glibc

/// Starts a job in its view and stays with it to its end.
package struct Supervisor {
    package enum Outcome: Sendable {
        /// There was no job: the view could not be built, or the command not executed.
        case failed(EnterFailure)
        case ended(ChildResult)
    }

    /// The program that calls `Enter.run(planFile:)`, and its arguments up to the plan file: `/proc/self/exe`,
    /// `["dfs", "__enter"]`.
    package let executable: String
    package let arguments: [String]
    /// Seconds within which a third SIGINT or SIGTERM kills the job.
    package var grace: UInt64 = 10
    /// Seconds that what is left of the job when its first process has ended has, before it is killed.
    package var orphanGrace: UInt64 = 2
    /// Terminals that stand in for the user's.
    package var terminals: [JobTerminal] = []

    package init(executable: String, arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    /// Runs the job. Blocks the calling thread, which must be one that does not end before: with it dies the job.
    ///
    /// While it runs, signals sent to this process by others are passed on to the job; what a terminal sends reaches
    /// it by itself. What the job leaves behind is ended too: nothing of it writes when this returns.
    /// `parent`, `status` and `gate` of the plan are filled in. `onStart` is called with the job's process id and
    /// mount namespace once the command has been executed. Throws when no process could be started.
    package func run(
        _ plan: EnterPlan, onStart: (_ pid: Int32, _ mountNamespace: String) -> Void = { _, _ in }
    ) throws(DFSError) -> Outcome {
        try run(plan, onReady: { _ in }, onStart: onStart)
    }

    /// As the other; with `plan.waits`, `onReady` is called with the entering process's id when the view stands and nothing of
    /// the command has run.
    ///
    /// When the command has been executed and has ended, `isOver` says whether what shares its view has ended too; it is asked
    /// again every 20 ms, and told whether somebody has interrupted the run. The third interruption ends the wait.
    package func run(
        _ plan: EnterPlan, onReady: (_ pid: Int32) -> Void,
        onStart: (_ pid: Int32, _ mountNamespace: String) -> Void = { _, _ in },
        isOver: (_ isInterrupted: Bool) -> Bool = { _ in true }
    ) throws(DFSError) -> Outcome {
        let relay = try SignalRelay()
        let descendants = try Descendants()
        var gate = plan.waits ? try Pipe.make() : nil
        let (pid, answer) = try spawn(plan, gate: gate?.0)
        var watch = Watch(pid: pid, grace: grace * 1_000_000_000)
        var namespace: HeldNamespace?
        while !watch.hasEnded {
            watch.wait(signals: relay.descriptor.raw, answer: answer.raw)
            let hasBegun = watch.read(answer.raw)
            if watch.isReady, let open = gate {
                namespace = HeldNamespace(of: pid)
                onReady(pid)
                try? Files.write([1], to: open.1.raw, what: "the gate")
                gate = nil
            }
            if hasBegun {
                namespace = namespace ?? HeldNamespace(of: pid, named: watch.mountNamespace)
                onStart(pid, watch.mountNamespace ?? "")
            }
            for event in relay.take() {
                if event.signal == SignalRelay.windowChange {
                    terminals.forEach { $0.resize() }
                    _ = kill(pid, event.signal)
                    continue
                }
                watch.act(on: event.signal, fromKernel: event.fromKernel)
            }
            try watch.reap()
            try descendants.reap(besides: pid)
        }
        // A short job can end before its answer is read.
        if watch.read(answer.raw) { onStart(pid, watch.mountNamespace ?? "") }
        if watch.hasBegun { try wait(&watch, relay, descendants, until: isOver) }
        // Of a view that others share only what this process has started is its own.
        if !plan.joins.isEmpty { namespace = nil }
        let orphans = try endOrphans(of: watch, in: namespace, descendants)
        // Another interruption while they are ended must not leave the run to others.
        withExtendedLifetime(relay) {}
        return try outcome(of: watch, orphans)
    }

    /// Nothing is passed on: the first process has ended, and the others have launchers of their own.
    private func wait(
        _ watch: inout Watch, _ relay: SignalRelay, _ descendants: Descendants, until isOver: (Bool) -> Bool
    ) throws(DFSError) {
        while !isOver(watch.isInterrupted), !watch.wasKilled {
            watch.pause(signals: relay.descriptor.raw, milliseconds: 20)
            for event in relay.take() { watch.note(event.signal, fromKernel: event.fromKernel) }
            try descendants.reap(besides: watch.pid)
        }
    }

    /// Some have left the job's namespace, others were started by a process that is not ours: both ways are looked.
    private func endOrphans(
        of watch: Watch, in namespace: HeldNamespace?, _ descendants: Descendants
    ) throws(DFSError) -> [Orphan] {
        let grace = watch.wasKilled ? 0 : orphanGrace * 1_000_000_000
        let found = try JobProcesses.end(grace: grace) { () throws(DFSError) in
            try descendants.reap(besides: watch.pid, always: true)
            let inside = if let namespace { try JobProcesses.living(in: namespace.name) } else { [Int32]() }
            return Array(Set(inside).union(try descendants.living()))
        }
        try descendants.reap(besides: watch.pid, always: true)
        return found
    }

    /// A mount namespace of the job's own, held open: the number of one that is gone is given to the next at once, and
    /// that is somebody else's.
    private struct HeldNamespace {
        let name: String
        private let descriptor: OwnedDescriptor

        /// `nil` when the job has none of its own, or is gone already.
        init?(of pid: Int32, named expected: String? = nil) {
            guard let descriptor = try? OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY),
                let name = Files.linkTarget("/proc/self/fd/\(descriptor.raw)"), name != JobProcesses.ownNamespace,
                name == expected ?? name
            else { return nil }
            self.name = name
            self.descriptor = descriptor
        }
    }

    private func outcome(of watch: Watch, _ orphans: [Orphan]) throws(DFSError) -> Outcome {
        if let failure = watch.failure { return .failed(failure) }
        guard let result = watch.result(orphans: orphans) else { throw Self.silent }
        // Interrupted while the view was built: that is how it ended.
        guard watch.mountNamespace != nil else {
            if case .signalled = result.ending { return .ended(result) }
            return .failed(EnterFailure(.plan, Self.silent))
        }
        return .ended(result)
    }

    private static let silent = DFSError(
        .launcher, "the job could not be started", cause: "the entering process ended without a word",
        hint: "dfs doctor")

    /// The process id, and where its answer will come. The plan goes through memory, not through a file: it holds the
    /// environment.
    private func spawn(_ plan: EnterPlan, gate: OwnedDescriptor?) throws(DFSError) -> (Int32, OwnedDescriptor) {
        let (answer, status) = try Pipe.make()
        _ = clinux_fcntl(answer.raw, F_SETFL, Int(O_NONBLOCK))
        var plan = plan
        plan.parent = getpid()
        plan.status = status.raw
        plan.gate = gate?.raw ?? -1
        let memory = OwnedDescriptor(
            adopting: try System.call("cannot make a file in memory") { clinux_memfd("dfs-enter-plan") })
        try Files.write(plan.json.canonicalBytes, to: memory.raw, what: "the plan")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // To the same number: inherited, where all others are closed. Numbers of ours cannot be ones that the caller
        // of dfs-run has left open for the job.
        posix_spawn_file_actions_adddup2(&actions, memory.raw, memory.raw)
        posix_spawn_file_actions_adddup2(&actions, status.raw, status.raw)
        if let gate { posix_spawn_file_actions_adddup2(&actions, gate.raw, gate.raw) }

        let words = arguments + [Mounts.path(of: memory)]
        let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, nil, argv, clinux_environment())
        guard code == 0 else {
            let error = System.error(code, "cannot start \(executable)")
            throw DFSError(.launcher, error.what, cause: error.cause, hint: error.hint, errno: code)
        }
        return (pid, answer)
    }
}
