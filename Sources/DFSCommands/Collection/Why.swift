import ArgumentParser
import DFSChunking
import DFSHistory
import DFSLedger
import DFSModel
import DFSStore
import DFSSystem

/// `dfs why`: what holds an object, so that it is not collected.
struct Why: DFSCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Tell what holds stored bytes, or that nothing does.")

    @Argument(help: "sha256: and 8 or more digits of an object or pack, a file, or a reference.") var object: String
    @OptionGroup(title: "Global options") var global: GlobalOptions

    func execute(_ context: CommandContext) throws(DFSError) -> ExitCode {
        let repository = try context.repository()
        let resolver = try context.resolver(repository)
        let wanted = try wanted(resolver, context)
        var holders = Holders(repository: repository, state: resolver.state, wanted: wanted.digests)
        let places = try holders.places().filter { wanted.pack == nil || $0.pack == wanted.pack }
        let report = WhyReport(what: wanted.what, holders: try holders.find(), places: places)
        guard !report.places.isEmpty || !report.holders.isEmpty else {
            throw DFSError(.noReference, "\(object) is in no pack", cause: "nothing has these bytes", hint: "dfs ls")
        }
        try context.output.report(report)
        return .done
    }

    private struct Wanted {
        let what: String
        let digests: Set<Digest>
        var pack: PackID?
    }

    private func wanted(_ resolver: Resolver, _ context: CommandContext) throws(DFSError) -> Wanted {
        let digits = object.hasPrefix("sha256:") ? String(object.dropFirst(7)) : object
        if object.hasPrefix("sha256:") || digits.utf8.count >= 8, let prefix = DigestPrefix(digits) {
            return try wanted(beginning: prefix, resolver)
        }
        if !object.contains("@"), let path = try? context.absolute(object),
            let status = try FileStatus.of(path: path, following: true), status.kind == .file
        {
            var hasher = Hasher256()
            let file = try OwnedDescriptor.open(path, 0)
            var buffer = [UInt8](repeating: 0, count: 1 << 20), at: UInt64 = 0
            while at < status.size {
                let count = Int(min(UInt64(buffer.count), status.size - at))
                var failure: DFSError?
                buffer.withUnsafeMutableBytes { bytes in
                    let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
                    do throws(DFSError) {
                        try Files.read(into: part, from: file.raw, at: at, what: path)
                        hasher.update(UnsafeRawBufferPointer(part))
                    } catch { failure = error }
                }
                if let failure { throw failure }
                at += UInt64(count)
            }
            return Wanted(what: object, digests: [hasher.finish()])
        }
        let target = try context.resolve(object, resolver)
        let entry = target.resolved.entry
        return Wanted(what: target.resolved.text, digests: [entry.address?.digest ?? entry.content.digest])
    }

    private func wanted(beginning prefix: DigestPrefix, _ resolver: Resolver) throws(DFSError) -> Wanted {
        let found = try Holders.objects(beginning: prefix, in: resolver.repository, resolver.state)
        if let pack = found.packs.first, found.packs.count == 1, found.objects.isEmpty {
            let table = try resolver.repository.objects.readIndex(pack)
            return Wanted(
                what: "pack \(pack)", digests: Set((0..<table.count).map { table[$0].digest }), pack: pack)
        }
        guard let digest = found.objects.first else {
            // A file of several chunks is in no pack under its own digest.
            if let digest = Digest(hex: prefix.digits) { return Wanted(what: digest.text, digests: [digest]) }
            throw DFSError(
                .noReference, "there is no object or pack \(object)",
                cause: "a large file is found by all 64 digits of its SHA-256", hint: "dfs gc")
        }
        guard found.objects.count == 1, found.packs.isEmpty else {
            throw DFSError(
                .noReference, "\(object) is ambiguous",
                cause: "\(Quantity.count(found.objects.count + found.packs.count, "object")) begin so",
                hint: "dfs why \(digest.text)")
        }
        return Wanted(what: digest.text, digests: [digest])
    }
}

struct WhyReport: Report {
    static let schema = "dfs.why/1"

    let what: String
    let holders: [Holders.Holder]
    let places: [Holders.Place]

    private static let listed = 20

    var json: [String: JSONValue] {
        [
            "object": .string(what), "held": .bool(!holders.isEmpty),
            "holders": .array(
                holders.map { ["what": .string($0.what), "paths": .array($0.paths.map { .string($0) })] }),
            "packs": .array(
                places.map { place in
                    [
                        "pack": .string(place.pack.digest.text), "named": .bool(place.isNamed),
                        "condemned": place.condemned.map { .integer(Int64(clamping: $0)) } ?? .null,
                    ]
                }),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        for holder in holders.prefix(Self.listed) {
            let paths = holder.paths.isEmpty ? "" : "  " + holder.paths.joined(separator: ", ")
            try output.line("\(holder.what)\(NameText.display(Array(paths.utf8)))")
        }
        if holders.count > Self.listed {
            try output.line("… and \(Quantity.number(holders.count - Self.listed)) more")
        }
        if holders.isEmpty { try output.line("nothing: dfs gc would drop it") }
        for place in places {
            let state =
                place.condemned.map { ", condemned by entry \($0)" } ?? (place.isNamed ? "" : ", which no entry names")
            output.say("in pack \(place.pack)\(state)")
        }
    }
}
