import ArgumentParser
import DFSHistory
import DFSModel
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
        try context.output.report(WarmReport(reference: target.resolved.text, summary: summary))
        return .done
    }
}

struct WarmReport: Report {
    static let schema = "dfs.warm/1"

    let reference: String
    let summary: Warming.Summary

    var json: [String: JSONValue] {
        func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        return [
            "reference": .string(reference), "files": .integer(Int64(summary.files)), "bytes": number(summary.bytes),
            "cached_bytes": number(summary.cachedBytes), "verified_bytes": number(summary.verifiedBytes),
            "hot": [
                "made": .integer(Int64(summary.hotMade)), "present": .integer(Int64(summary.hotPresent)),
                "bytes": number(summary.hotBytes),
            ],
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
        try output.line(
            "\(reference)  \(Quantity.count(summary.files, "file")), \(ByteCount(summary.bytes)): "
                + parts.joined(separator: ", "))
        for skipped in summary.skipped {
            let files = skipped.files > 0 ? Quantity.count(skipped.files, "file") + ", " : ""
            output.say("skipped: \(files)\(ByteCount(skipped.bytes)): \(skipped.reason)")
        }
    }
}
