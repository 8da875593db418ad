import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem

/// Watches one run, and writes what it sees into the run's evidence folder as it sees it, so that a run that dies has it too.
/// A witness that fails says so in its summary and never harms the job.
protocol RunWitness: AnyObject {
    /// The member of the result record that `summary` becomes.
    var name: String { get }
    /// Before the view is entered: the plan for the kernel may be changed.
    func prepare(_ plan: inout EnterPlan)
    /// The view stands, and nothing of the command has run: only where `prepare` has set `waits`. `pid` is in the view.
    func ready(pid: Int32)
    /// The command has been executed: its process id and mount namespace (`mnt:[…]`).
    func began(pid: Int32, mountNamespace: String)
    /// The command has ended: whether what else belongs to the run has ended too. It is asked again until it is so, or somebody
    /// has interrupted the run three times; what lives on then is ended.
    func othersHaveEnded(isInterrupted: Bool) -> Bool
    /// The job's processes have all ended. Whatever is queued is drained and written here.
    func ended()
    /// The run is recorded, and its last line printed. Not called of a run that did not start.
    func sealed()
    /// For the result record, after `ended`.
    var summary: JSONValue { get }
    /// A part of the run's last line, such as `GPU 0.4 h of 1.0 h`; `nil` for none.
    var words: String? { get }
}

extension RunWitness {
    func othersHaveEnded(isInterrupted: Bool) -> Bool { true }
    func sealed() {}
    func prepare(_ plan: inout EnterPlan) {}
    func ready(pid: Int32) {}
    func began(pid: Int32, mountNamespace: String) {}
    var words: String? { nil }
}

/// What watches every run.
enum RunWitnesses {
    static func all(
        _ plan: RunPlan, _ live: LiveRun, _ repository: Repository, _ signer: any Signer, _ context: CommandContext
    ) -> [any RunWitness] {
        let observer = JobObserver()
        let cache = (try? context.directories.cache()).map { $0 + "/host" }
        let catalogue = FileCatalogue(directory: cache)
        let freeze = FreezeWitness(plan, context) { () throws(DFSError) in
            try freezeRequest(plan, live, repository, context)
        }
        let libraries = LibraryWitness(live, catalogue: catalogue, observer: observer) { freeze.found($0) }
        let modules = ModuleWitness(
            plan, live, catalogue: catalogue, cache: cache, home: context.environment.home, libraries: libraries.watch,
            observer: observer)
        return [
            LiveKeeper(live: live, repository: repository, signer: signer),
            UsageWitness(plan, evidence: live.evidence, observer: observer), modules, libraries, freeze,
            OutsideWitness(plan, live),
        ] + [plan.request.ranks].compactMap { $0 }
    }

    private static func freezeRequest(
        _ plan: RunPlan, _ live: LiveRun, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) -> FreezeRequest {
        let places = try OwnPlaces(context, repository)
        let bounds = EnvironmentBounds(
            roots: ([plan.captured] + plan.roots).map { .init($0.survey) }, data: plan.inputs.compactMap(\.path),
            home: context.environment.home, withheld: places.reasons.keys.sorted())
        return FreezeRequest(
            run: plan.run, store: live.storeRoot, cacheRoot: try context.directories.cache(),
            limit: try context.freezeLimit(try context.project()), python: plan.host.stable["python"] ?? .null,
            home: context.environment.home, bounds: bounds, began: Clock.now(),
            lent: plan.environmentMounts?.targets ?? [])
    }
}
