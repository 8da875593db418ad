import ArgumentParser
import DFSHistory
import DFSModel
import DFSSealedView
import DFSStore
import DFSSystem

/// `dfs warm REF`: so that the first reader need not wait.
struct Warm: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "warm", abstract: "Bring what a reference names into the caches of this host.")

    @Argument(help: "A reference.") var reference: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        let target = try context.resolve(reference, resolver)
        let hot = HotFiles(
            directory: repository.cacheDirectory, reader: repository.reader, limit: try context.cacheLimit())
        let obstacle = ServingFacts(resolver.state).passthroughObstacle
        let summary = try context.progress.track("warm \(target.resolved.text)") { activity throws(DFSError) in
            activity.expectedBytes.increment(by: Int(clamping: target.resolved.entry.size))
            let warming = Warming(
                reader: repository.reader, hot: hot, obstacle: obstacle, threads: context.jobs,
                counting: (activity.files, activity.bytes))
            return try warming.run(target.resolved.entry)
        }
        let image = try Self.seal(target, repository, context)
        try context.output.report(WarmReport(reference: target.resolved.text, summary: summary, image: image))
        return .done
    }

    /// The image for sealed views, where this host can have them; or why there is none.
    private static func seal(
        _ target: Target, _ repository: Repository, _ context: CommandContext
    ) throws(DFSError) -> WarmReport.Image {
        if let obstacle = SealedMounts.obstacle(cache: repository.cacheDirectory) {
            return .none(obstacle.cause ?? obstacle.what)
        }
        guard let subject = ViewSubject(target) else { return .none("only whole versions and snapshots are sealed") }
        do throws(DFSError) {
            let views = try context.sealedMounts(repository).views
            return .ready(try views.prepare(subject, shownBy: context.progress, as: target.resolved.text).manifest)
        } catch {
            guard error.isTooMuch else { throw error }
            return .none(error.cause ?? error.what)
        }
    }
}

struct WarmReport: Report {
    static let schema = "dfs.warm/1"

    enum Image {
        case ready(ViewManifest)
        case none(String)
    }

    let reference: String
    let summary: Warming.Summary
    let image: Image

    private var imageJSON: JSONValue {
        switch image {
        case .ready(let manifest):
            [
                "bytes": .integer(Int64(manifest.imageBytes)), "mapped_bytes": .integer(Int64(manifest.mappedBytes)),
                "copied_bytes": .integer(Int64(manifest.copiedBytes)),
            ]
        case .none(let reason): ["reason": .string(reason)]
        }
    }

    var json: [String: JSONValue] {
        func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        return [
            "reference": .string(reference), "files": .integer(Int64(summary.files)), "bytes": number(summary.bytes),
            "cached_bytes": number(summary.cachedBytes), "verified_bytes": number(summary.verifiedBytes),
            "hot": [
                "made": .integer(Int64(summary.hotMade)), "present": .integer(Int64(summary.hotPresent)),
                "bytes": number(summary.hotBytes),
            ],
            "image": imageJSON,
            "skipped": .array(
                summary.skipped.map {
                    ["reason": .string($0.reason), "files": .integer(Int64($0.files)), "bytes": number($0.bytes)]
                }),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        var parts = ["\(ByteCount(summary.cachedBytes)) of packs in memory"]
        if summary.hotMade > 0 {
            parts.append("\(Quantity.count(summary.hotMade, "hot copy", plural: "hot copies")) made")
        }
        if summary.hotPresent > 0 {
            parts.append("\(Quantity.count(summary.hotPresent, "hot copy", plural: "hot copies")) there")
        }
        switch image {
        case .ready(let manifest): parts.append("an image of \(ByteCount(UInt64(manifest.imageBytes)))")
        case .none(let reason): output.say("no image: \(reason)")
        }
        try output.line(
            "\(reference)  \(Quantity.count(summary.files, "file")), \(ByteCount(summary.bytes)): "
                + parts.joined(separator: ", "))
        for skipped in summary.skipped {
            let files = skipped.files > 0 ? Quantity.count(skipped.files, "file") + ", " : ""
            output.say("skipped: \(files)\(ByteCount(skipped.bytes)): \(skipped.reason)")
        }
    }
}
