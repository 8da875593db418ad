import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem

/// Launches one run: plan, record, mount, run, seal.
struct RunLauncher {
    let context: CommandContext
    let repository: Repository

    struct Launched: Sendable {
        let run: RunID
        /// The job's.
        let code: ExitCode
    }

    func launch(_ request: LaunchRequest) throws(DFSError) -> Launched {
        if let tag = request.tag { try Tag.check(tag) }
        // What is set wrongly is said before anything is recorded, and is no reason to serve data another way.
        (_, _) = (try context.viewLinger(), try context.cacheLimit())
        let signer = try context.signer()
        let run = RunID(.make())
        let live = LiveRun(storeRoot: repository.root, run: run)
        // The server starts while code and host are looked at.
        let view = try ViewServer.start(run: run, repository: repository, context: context)
        do throws(DFSError) {
            let planner = RunPlanner(
                context: context, repository: repository, project: try context.project(), request: request, run: run,
                signer: signer)
            let session = try repository.storingAgain("run \(run)") { _ throws(DFSError) -> RunSession? in
                let session = RunSession(
                    context: context, repository: repository, signer: signer, live: live, plan: try planner.plan(),
                    view: view)
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
