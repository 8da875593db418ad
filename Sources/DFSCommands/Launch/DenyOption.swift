import DFSHistory
import DFSLaunch
import DFSLedger
import DFSModel
import DFSStore
import DFSVirtual

/// `--deny REF`: parts of datasets that a run must not read.
enum DenyOption {
    /// What the options of a run name. `.noReference` where that is not there.
    static func resolve(
        _ request: LaunchRequest, _ context: CommandContext, _ repository: Repository
    ) throws(DFSError) -> Denials {
        guard !request.deny.isEmpty else { return Denials() }
        let resolver = try context.resolver(repository)
        let inputs = try DataInput.resolve(request.data, resolver) { path throws(DFSError) in
            try context.absolute(path)
        }
        var rules = [Denials.Rule]()
        for text in request.deny { rules.append(try rule(text, resolver, inputs)) }
        return Denials(rules)
    }

    private static func rule(
        _ text: String, _ resolver: Resolver, _ inputs: [DataInput]
    ) throws(DFSError) -> Denials.Rule {
        let reference = try resolver.parse(text)
        guard case .dataset(let name, var selector, let path) = reference else {
            throw DFSError(.usage, "--deny \(text) cannot be used", cause: "it is not a dataset", hint: "dfs ls")
        }
        // Where no version is said, the one that the run sees.
        if selector == .latest, let input = inputs.first(where: { $0.dataset == name }) {
            selector = .version(input.version.number)
        }
        let resolved = try resolver.resolve(.dataset(name: name, selector: selector, path: path))
        guard let version = resolved.version else {
            throw DFSError(.usage, "--deny \(text) cannot be used", cause: "it is not a dataset", hint: "dfs ls")
        }
        guard resolved.entry.kind != .symlink else {
            throw DFSError(
                .usage, "--deny \(text) cannot be used", cause: "it is a link: deny what it leads to",
                hint: "dfs ls \(text)")
        }
        return Denials.Rule(dataset: name, version: version.number, path: path, entry: resolved.entry)
    }

    /// Refuses, before anything is recorded, what could not be kept: without a view of its own a job sees copies.
    static func check(_ plan: RunPlan, _ view: ViewServer) throws(DFSError) {
        let cause: String
        if plan.capabilities.namespace == .none {
            cause = "there are no namespaces here: " + (plan.capabilities.userNamespace.reason ?? "unknown")
        } else if view.path() == nil {
            cause = view.failure.map { $0.cause ?? $0.what } ?? "nothing can be served here"
        } else {
            return
        }
        throw DFSError(
            .cannotServe, "what --deny names cannot be kept from a run on this host", cause: cause, hint: "dfs doctor")
    }
}
