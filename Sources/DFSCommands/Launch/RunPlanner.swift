import DFSChunking
import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSStore
import DFSSystem
import Dispatch
import Synchronization

/// Resolves data, captures the code, looks at the host: all before anything starts.
struct RunPlanner {
    let context: CommandContext
    let repository: Repository
    let project: ProjectFile?
    let request: LaunchRequest
    let run: RunID
    let signer: any Signer

    private static let maximumWorkFile: UInt64 = 4 << 30

    func plan() throws(DFSError) -> RunPlan {
        let resolver = try context.resolver(repository)
        let inputs = try DataInput.resolve(request.data, resolver) { path throws(DFSError) in
            try request.environment.absolute(path)
        }
        for resolution in inputs.compactMap(\.resolution) { context.output.say(resolution) }
        if request.expands { try Placeholders.check(request.command, keys: inputs.map(\.key)) }
        let secrets = try LaunchSecrets(request, project, repository)
        let hostRecord = BackgroundHost(
            try context.hostRequest(arguments: request.command, environment: request.environment))
        let capabilities = context.capabilities(repository)
        let check = try DriftCheck(request, capabilities, context, resolver)
        var drift: DriftCheck.Finding?
        let code = try code(inputs, resolver.state) { project throws(DFSError) in
            drift = try check?.run(project: project, host: hostRecord.wait())
        }
        let roots = try RunRoots(context: context, repository: repository, request: request, signer: signer).take(
            besides: code)
        return RunPlan(
            run: run, began: resolver.state, inputs: inputs, captured: code, roots: roots, secrets: secrets,
            host: hostRecord.wait(), drift: drift, capabilities: capabilities,
            seed: request.seed ?? UInt32.random(in: 0...UInt32.max), request: request,
            maximumFileSize: request.maximumFile ?? project?.run.maximumFile?.value ?? Self.maximumWorkFile)
    }

    // MARK: Code

    /// `decide` is called with the project's name before anything is stored, and may refuse the run.
    private func code(
        _ inputs: [DataInput], _ state: LedgerState, decide: (String) throws(DFSError) -> Void
    ) throws(DFSError) -> CapturedCode {
        if case .snapshot(let code) = request.code {
            try decide(code.project)
            return CapturedCode(code, repository)
        }
        let capture = ProjectCapture(
            context: context, repository: repository, project: project, allowSecrets: request.allowSecrets,
            hint: ProjectCapture.runHint)
        let survey = try capture.survey(from: try request.environment.workingDirectory)
        try decide(capture.name(of: survey.root))
        let prefix = survey.root + "/"
        let mounted = inputs.compactMap { input -> [UInt8]? in
            guard let path = input.path, path.hasPrefix(prefix) else { return nil }
            return Array(path.dropFirst(prefix.count).utf8)
        }
        return try capture.capture(survey, mounted: Set(mounted), after: state)
    }
}

/// The host's record, taken on a thread of its own.
private final class BackgroundHost: Sendable {
    private let result = Mutex<HostRecord?>(nil)
    private let group = DispatchGroup()

    init(_ request: HostRequest) {
        DispatchQueue.global().async(group: group) { [self] in
            let record = HostFacts.capture(request)
            result.withLock { $0 = record }
        }
    }

    func wait() -> HostRecord {
        group.wait()
        let nothing = HostRecord(
            identity: .null, stable: .null, job: .null, volatile: ["unknown": "the capture did not end"])
        return result.withLock { $0 } ?? nothing
    }
}

extension CommandContext {
    /// What the kernel lets a run have here.
    func capabilities(_ repository: Repository) -> Capabilities {
        Capabilities.probe(scratch: repository.root + "/tmp", path: environment["PATH"] ?? "/usr/bin:/bin")
    }
}
