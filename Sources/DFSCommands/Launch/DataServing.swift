import ArgumentParser
import DFSHistory
import DFSLedger
import DFSModel
import DFSSealedView
import DFSStore
import DFSSystem
import DFSVirtual

/// What `dfs-run --serve` asks for.
enum DataChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto, sealed, fuse
}

/// How each dataset of a run is served, and why.
struct DataServing {
    enum Way: Sendable {
        /// `denied`: directories in it over which others are mounted.
        case sealed(SealedMounts.Attachment, denied: [[[UInt8]]])
        case fuse(why: String)
    }

    /// By key of the data.
    private(set) var ways: [String: Way] = [:]

    func base(_ key: String) -> String? {
        if case .sealed(let attachment, _) = ways[key] { return attachment.base }
        return nil
    }

    /// Paths in sealed data that are denied.
    func denied(_ key: String) -> [[[UInt8]]] {
        if case .sealed(_, let denied) = ways[key] { return denied }
        return []
    }

    mutating func set(_ key: String, _ way: Way) { ways[key] = way }

    /// Lets go of the views. Where none is to linger, they are gone afterwards if nobody else uses them.
    mutating func end(linger: Int) {
        let bases = ways.keys.compactMap(base)
        ways = [:]
        if linger == 0 { for base in Set(bases) { try? Keeper.look(base) } }
    }

    /// Whether no data needs another way.
    var isSealed: Bool { !ways.isEmpty && ways.values.allSatisfy { if case .sealed = $0 { true } else { false } } }

    var json: JSONValue {
        .object(
            ways.mapValues { way in
                switch way {
                case .sealed: ["way": "sealed"]
                case .fuse(let why): ["way": "fuse", "why": .string(why)]
                }
            })
    }
}

/// Chooses how a run's data is served: sealed where that needs no time to speak of, so that a job's start does not depend on
/// how much data it has. What is not sealed yet is served by FUSE this time, and sealed in the background for the next.
struct DataServingChoice {
    let context: CommandContext
    let repository: Repository
    let choice: DataChoice

    /// What is made while the job waits: some tenths of a second.
    static let atOnce = SealedViews.Limits(
        copiedBytes: 64 << 20, uncheckedBytes: 512 << 20, entries: 20_000, waits: false)

    func serve(
        _ inputs: [DataInput], sequence: UInt64, isPrivileged: Bool, denials: Denials = Denials()
    ) throws(DFSError) -> DataServing {
        var serving = DataServing()
        for input in inputs {
            serving.set(input.key, try way(of: input, sequence, isPrivileged, denials))
        }
        return serving
    }

    private func way(
        of input: DataInput, _ sequence: UInt64, _ isPrivileged: Bool, _ denials: Denials
    ) throws(DFSError) -> DataServing.Way {
        if choice == .fuse { return .fuse(why: "asked for") }
        let obstacle =
            SealedMounts.obstacle(cache: repository.cacheDirectory)
            ?? (isPrivileged
                ? nil : DFSError(.cannotServe, "no mount", cause: "the run has no mount namespace of root's"))
        if let obstacle {
            if choice == .sealed { throw obstacle }
            return .fuse(why: obstacle.cause ?? obstacle.what)
        }
        let reference = "\(input.dataset)@v\(input.version.number)"
        guard let denied = try denied(in: input, denials) else {
            let why = "a denied part of it is no directory, or it is too large to look for one"
            guard choice != .sealed else {
                throw DFSError(
                    .cannotServe, "\(reference) cannot be sealed in this run", cause: why,
                    hint: "dfs-run --serve fuse …")
            }
            return .fuse(why: why)
        }
        do throws(DFSError) {
            let mounts = try context.sealedMounts(repository)
            let limits = choice == .auto ? Self.atOnce : SealedViews.Limits()
            let view = try mounts.views.prepare(
                ViewSubject(input.version, of: input.dataset), limits: limits, shownBy: context.progress, as: reference)
            return .sealed(
                try mounts.attach(view, sequence: sequence, linger: try context.viewLinger()), denied: denied)
        } catch {
            // Damage would be met by any other way too, but only where the job looks: the choice is the job's.
            if choice == .sealed { throw Self.notSealed(error) }
            if error.isTooMuch { sealInBackground(input) }
            return .fuse(why: error.cause.map { "\(error.what): \($0)" } ?? error.what)
        }
    }

    /// Files in a version above which it is not looked for what is denied in it: FUSE looks where the job does.
    static let searched: UInt64 = 200_000

    /// Directories in the data over which denied ones can be mounted; `nil` where that is not all.
    private func denied(in input: DataInput, _ denials: Denials) throws(DFSError) -> [[[UInt8]]]? {
        if denials.isEmpty { return [] }
        guard input.version.tree.files <= Self.searched else { return nil }
        let places = try denials.places(
            in: .root(input.version.tree, modified: input.version.time),
            version: (input.dataset, input.version.number), reader: repository.reader)
        guard places.allSatisfy({ $0.isDirectory && !$0.path.isEmpty }) else { return nil }
        return places.map(\.path)
    }

    /// Whatever the reason: there is no way that was asked for.
    private static func notSealed(_ error: DFSError) -> DFSError {
        guard error.code == .refused || error.code == .operational else { return error }
        return DFSError(.cannotServe, error.what, cause: error.cause, hint: error.hint, errno: error.errno)
    }

    /// The next run finds the image. Nothing depends on it.
    private func sealInBackground(_ input: DataInput) {
        guard let cache = try? context.directories.cache(), let limit = try? context.cacheLimit() else { return }
        try? BackgroundSealing.start(
            dataset: input.dataset, version: input.version.number, store: repository.root, cacheRoot: cache,
            limit: limit)
    }
}
