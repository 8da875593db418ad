import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSRuns

/// docs/DRIFT.md and the code say the same.
@Suite struct DriftDocumentTests {
    private static let path = Files.parent(Files.parent(Files.parent(#filePath))) + "/docs/DRIFT.md"

    private static func words(_ measure: DriftRule.Measure) -> String {
        switch measure {
        case .ignored: "not compared"
        case .equal: "equal"
        case .members: "member by member"
        case .set: "set"
        case .objects(let without): "set of objects without `\(without.joined(separator: "`, `"))`"
        case .version(let parts, let beyond):
            "version: the first \(parts == 1 ? "number" : "\(parts) numbers"); later ones `\(beyond.rawValue)`"
        case .versionAtLeast(let below): "version: a lower first number `\(below.rawValue)`"
        case .atLeast(let percent, let otherwise):
            "less than \(percent) %; otherwise `\(otherwise.rawValue)`"
        case .processors(let otherwise): "how many; other ones as many `\(otherwise.rawValue)`"
        }
    }

    private static func row(_ rule: DriftRule) -> String {
        var classes = rule.measure == .ignored ? "–" : "`\(rule.difference.rawValue)`"
        if rule.missing != rule.difference { classes += "; gone: `\(rule.missing.rawValue)`" }
        if rule.added != rule.missing, rule.added != rule.difference { classes += "; new: `\(rule.added.rawValue)`" }
        if rule.withOneGPU != rule.difference { classes += "; with one GPU: `\(rule.withOneGPU.rawValue)`" }
        let sources = rule.sources.map(\.rawValue).joined(separator: ", ")
        return "| `\(rule.pattern.text)` | \(words(rule.measure)) | \(classes) | \(rule.reason) | \(sources) |"
    }

    private static var table: String {
        let head = ["| fact | compared | when it differs | because | sources |", "| --- | --- | --- | --- | --- |"]
        return (head + DriftRules.all.map(row)).joined(separator: "\n")
    }

    private static var groups: String {
        NameGroup.allCases.map { group in
            let isPrefix = group == .numeric || group == .collectives
            let names = group.names.map { "`\($0)\(isPrefix ? "…" : "")`" }.joined(separator: " ")
            return "- `{\(group.rawValue)}`: \(names)"
        }.joined(separator: "\n")
    }

    /// What stands between two marks of the document.
    private static func block(_ name: String, _ end: String, in text: String) throws -> Range<String.Index> {
        let start = try #require(text.range(of: "<!-- \(name) -->\n")).upperBound
        let stop = try #require(text.range(of: "<!-- \(end) -->")).lowerBound
        return start..<stop
    }

    /// With `DFS_WRITE_DOCS=1` in the environment the tables are written into the document instead.
    @Test func theRulesAreThoseOfTheDocument() throws {
        var text = String(decoding: try #require(try Files.read(Self.path)), as: UTF8.self)
        let blocks = [("rules", "end of rules", Self.table), ("groups", "end of groups", Self.groups)]
        if getenv("DFS_WRITE_DOCS") != nil {
            for (name, end, expected) in blocks {
                text.replaceSubrange(try Self.block(name, end, in: text), with: expected + "\n")
            }
            let file = try OwnedDescriptor.open(Self.path, O_WRONLY | O_TRUNC)
            try Files.write(Array(text.utf8), to: file.raw, what: Self.path)
        }
        for (name, end, expected) in blocks {
            let found = text[try Self.block(name, end, in: text)]
            #expect(found == expected + "\n", "DFS_WRITE_DOCS=1 swift test --filter DriftDocumentTests writes it anew")
        }
    }

    /// Every source that a rule names is explained, with its address.
    @Test func everySourceIsExplained() throws {
        let text = String(decoding: try #require(try Files.read(Self.path)), as: UTF8.self)
        for source in DriftSource.allCases {
            let line = text.split(separator: "\n").first { $0.hasPrefix("- **\(source.rawValue)**: ") }
            #expect(line?.contains(source.url) == true, "\(source.rawValue)")
        }
        let used = Set(DriftRules.all.flatMap(\.sources))
        #expect(DriftSource.allCases.filter { !used.contains($0) }.map(\.rawValue) == [])
    }
}

extension String {
    fileprivate func range(of part: String) -> Range<Index>? { firstRange(of: part) }
}
