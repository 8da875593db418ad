import DFSHistory
import DFSModel
import DFSStore

/// What a collection would do, or did.
struct CollectReport: Report {
    static let schema = "dfs.gc/1"

    let plan: CollectionPlan
    let outcome: CollectionOutcome?
    let grace: Int64

    private static let listed = 20

    var json: [String: JSONValue] {
        var members: [String: JSONValue] = [
            "seen": .integer(Int64(clamping: plan.seen)), "packs": .integer(Int64(plan.packs)),
            "bytes": .integer(Int64(clamping: plan.bytes)), "graceSeconds": .integer(grace),
            "reclaimable": .integer(Int64(clamping: plan.reclaimable)),
            "dead": .array(
                plan.dead.map { dead in
                    [
                        "pack": .string(dead.pack.digest.text), "bytes": .integer(Int64(clamping: dead.bytes)),
                        "named": .bool(dead.isNamed), "removed": .array(dead.owners.map { .string($0) }),
                    ]
                }),
            "compact": .array(
                plan.compacted.map { pack in
                    [
                        "pack": .string(pack.pack.digest.text), "bytes": .integer(Int64(clamping: pack.bytes)),
                        "live": .integer(Int64(clamping: pack.live)),
                    ]
                }),
            "waiting": .array(plan.waiting.map(Self.json)), "due": .array(plan.due.map(Self.json)),
            "young": ["packs": .integer(Int64(plan.young)), "bytes": .integer(Int64(clamping: plan.youngBytes))],
            "leases": .array(
                plan.leases.map { lease in
                    [
                        "holder": .string(lease.holder), "touched": .string(lease.touched.description),
                        "sequence": lease.sequence.map { .integer(Int64(clamping: $0)) } ?? .null,
                    ]
                }),
        ]
        if let outcome {
            members["done"] = [
                "entry": outcome.condemned.map { .integer(Int64(clamping: $0)) } ?? .null,
                "condemned": .integer(Int64(outcome.condemnedPacks)), "written": .integer(Int64(outcome.written)),
                "writtenBytes": .integer(Int64(clamping: outcome.writtenBytes)),
                "deleted": .integer(Int64(outcome.deletedPacks)),
                "deletedBytes": .integer(Int64(clamping: outcome.deletedBytes)),
            ]
        }
        return members
    }

    private static func json(_ waiting: CollectionPlan.Waiting) -> JSONValue {
        [
            "pack": .string(waiting.pack.digest.text), "bytes": .integer(Int64(clamping: waiting.bytes)),
            "condemned": .integer(Int64(clamping: waiting.condemned)), "until": .string(waiting.until.description),
            "heldBy": .array(waiting.heldBy.map { .string($0) }),
        ]
    }

    func print(to output: Output) throws(DFSError) {
        if let outcome { return try print(outcome, output) }
        try list(
            plan.dead, output,
            { "dead        \(Self.short($0.pack))  \(ByteCount($0.bytes))  \(Self.origin($0))" })
        try list(
            plan.compacted, output,
            { "half dead   \(Self.short($0.pack))  \(ByteCount($0.bytes)), of which \(ByteCount($0.live)) is needed" })
        try list(plan.due, output, { "deletable   \(Self.short($0.pack))  \(ByteCount($0.bytes))" })
        try list(
            plan.waiting, output,
            { waiting in
                let held = waiting.heldBy.isEmpty ? "" : ", held by \(waiting.heldBy.joined(separator: ", "))"
                return "condemned   \(Self.short(waiting.pack))  \(ByteCount(waiting.bytes))  "
                    + "until \(waiting.until.short)\(held)"
            })
        let due = plan.due.reduce(UInt64(0)) { $0 + $1.bytes },
            waiting = plan.waiting.reduce(UInt64(0)) { $0 + $1.bytes }
        try output.line(
            "\(Quantity.count(plan.packs, "pack")), \(ByteCount(plan.bytes)): \(ByteCount(plan.reclaimable)) can be freed "
                + "by condemning, \(ByteCount(due)) can be deleted now, \(ByteCount(waiting)) waits")
        if plan.young > 0 {
            output.say(
                "\(Quantity.count(plan.young, "pack")) (\(ByteCount(plan.youngBytes))) of running or just interrupted "
                    + "commits are left alone")
        }
        if !plan.isEmpty { output.say("dfs gc --yes does it") }
    }

    private func print(_ outcome: CollectionOutcome, _ output: Output) throws(DFSError) {
        var parts = ["condemned \(Quantity.count(outcome.condemnedPacks, "pack"))"]
        if outcome.written > 0 {
            parts.append("rewrote \(ByteCount(outcome.writtenBytes)) into \(Quantity.count(outcome.written, "pack"))")
        }
        parts.append("deleted \(Quantity.count(outcome.deletedPacks, "pack")), \(ByteCount(outcome.deletedBytes))")
        try output.line(parts.joined(separator: "; "))
        if outcome.condemned != nil, grace > 0 {
            output.say(
                "what was condemned can be deleted in \(Quantity.duration(milliseconds: grace * 1000)), by: dfs gc --yes"
            )
        }
    }

    private func list<Item>(_ items: [Item], _ output: Output, _ line: (Item) -> String) throws(DFSError) {
        for item in items.prefix(Self.listed) { try output.line(line(item)) }
        if items.count > Self.listed { try output.line("… and \(Quantity.number(items.count - Self.listed)) more") }
    }

    private static func short(_ pack: PackID) -> String { String(pack.digest.hex.prefix(12)) }

    private static func origin(_ dead: CollectionPlan.Dead) -> String {
        if !dead.isNamed { return "of an interrupted commit" }
        if dead.owners.isEmpty { return "what it holds is elsewhere too" }
        let more = dead.owners.count > 3 ? " and \(dead.owners.count - 3) more" : ""
        return "of \(dead.owners.prefix(3).joined(separator: ", "))\(more)"
    }
}
