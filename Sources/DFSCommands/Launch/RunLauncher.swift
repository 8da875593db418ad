import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import DFSVirtual

/// Launches one run: plan, record, mount, run, seal.
struct RunLauncher {
    let context: CommandContext
    let repository: Repository

    struct Launched: Sendable {
        let run: RunID
        /// The job's.
        let code: ExitCode
    }

    func launch(_ request: LaunchRequest, as run: RunID = RunID(.make())) throws(DFSError) -> Launched {
        if let tag = request.tag { try Tag.check(tag) }
        // What is set wrongly is said before anything is recorded, and is no reason to serve data another way.
        (_, _, _) = (
            try context.viewLinger(), try context.cacheLimit(), try context.freezeLimit(try context.project())
        )
        let signer = try context.signer()
        let live = LiveRun(storeRoot: repository.root, run: run)
        // The server starts while code and host are looked at.
        let denials = try DenyOption.resolve(request, context, repository)
        let noting = ViewServer.Noting(
            log: live.evidence + "/" + AccessLogName.server, reads: request.recordsAccess, denials: denials)
        let view = try ViewServer.start(run: run, repository: repository, context: context, noting: noting)
        do throws(DFSError) {
            let planner = RunPlanner(
                context: context, repository: repository, project: request.repeats == nil ? try context.project() : nil,
                request: request, run: run, signer: signer)
            let session = try repository.storingAgain("run \(run)") { _ throws(DFSError) -> RunSession? in
                let plan = try planner.plan()
                if !denials.isEmpty { try DenyOption.check(plan, view) }
                let session = RunSession(
                    context: context, repository: repository, signer: signer, live: live, plan: plan, view: view,
                    denials: denials)
                return try session.begin() ? session : nil
            }
            let code = try session.run()
            view.stop()
            return Launched(run: run, code: code)
        } catch {
            view.stop()
            throw error
        }
    }
}
