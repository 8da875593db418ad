import CLinux
import DFSHistory
import DFSLaunch
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// Has the environment of a run recorded by a process of its own (`FreezeProcess`), for which neither the job's start nor
/// the run's end waits.
final class FreezeWitness: RunWitness, @unchecked Sendable {
    let name = "environment"
    private let plan: RunPlan
    private let context: CommandContext
    private let request: () throws(DFSError) -> FreezeRequest
    // `input` and `failure` are used under the lock: files are found by another thread than the run's.
    private let lock = Lock()
    private var input: OwnedDescriptor?
    private var failure: String?
    private var child: LocalProcess?
    private var process: ChildProcess?

    init(_ plan: RunPlan, _ context: CommandContext, request: @escaping () throws(DFSError) -> FreezeRequest) {
        self.plan = plan
        self.context = context
        self.request = request
    }

    /// Started before the job: what is started later would be taken for the job's. It does nothing before the job has ended
    /// or run for a while.
    func prepare(_ enter: inout EnterPlan) {
        guard plan.request.freezesEnvironment else { return failure = "--no-freeze-env" }
        // The run has the environment of the one that it repeats, and its record names that. Where that is not whole the job
        // finds some of what this machine has.
        guard plan.environmentMounts?.isWhole != true else {
            return failure = "that of the run that is repeated"
        }
        do throws(DFSError) {
            let request = try request()
            guard request.limit > 0 else { return failure = "the limit is 0" }
            var ends: [Int32] = [-1, -1]
            try System.call("cannot make a pipe") { clinux_pipe(&ends) }
            let (reading, writing) = (OwnedDescriptor(adopting: ends[0]), OwnedDescriptor(adopting: ends[1]))
            let process = try ChildProcess.start(
                ServerProcess.executable, arguments: ["dfs", "__freeze", String(reading.raw)], inherited: [reading])
            child = try? LocalProcess(pid: process.pid)
            self.process = process
            try Files.write(request.json.canonicalBytes + [0x0a], to: writing.raw, what: "the freezing process")
            _ = clinux_fcntl(writing.raw, F_SETFL, Int(O_NONBLOCK))
            input = writing
        } catch { failure = error.cause ?? error.what }
    }

    /// A program or library that the job has mapped.
    func found(_ path: [UInt8]) {
        let line = JSONValue.string(NameText.encode(path)).canonicalBytes + [0x0a]
        try? lock.hold { () throws(DFSError) in
            guard let input else { return }
            // After a while nobody reads any more, and what the pipe cannot take is lost; evidence/libraries.json has it.
            try Files.write(line, to: input.raw, what: "the freezing process")
        }
    }

    func ended() { try? lock.hold { input = nil } }

    /// Slurm ends with a job's step all that it has started, also in sessions of their own.
    func sealed() {
        guard let process, context.environment["SLURM_JOB_ID"] != nil, !process.wait(milliseconds: 0) else { return }
        context.output.say("waiting until the environment is frozen: Slurm would end that with the job's step")
        while !process.wait(milliseconds: 60_000) {}
    }

    var summary: JSONValue {
        if let failure { return Fact.none(failure) }
        guard let child else { return Fact.unknown("the freezing process could not be started") }
        return ["freezing": child.json]
    }
}
