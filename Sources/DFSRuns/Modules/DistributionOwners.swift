import DFSModel
import DFSSystem

/// Which distribution a file of a directory of installed packages belongs to.
///
/// Each distribution lists its files (RECORD, PEP 376) or at least its packages (top_level.txt). Mostly the first component of
/// a path decides; where several distributions share one, their lists of files do.
struct DistributionOwners {
    struct Distribution: Hashable {
        let name: String
        let version: String?
        /// The folder of its metadata.
        let folder: String
    }

    private let site: String
    private var byTop: [String: [Distribution]] = [:]
    private var files: [Distribution: Set<String>] = [:]

    /// `cache` keeps what the lists say for as long as they do not change.
    init(site: String, cache: HostCache) {
        self.site = site
        let folders = ((try? DirectoryListing.names(of: site)) ?? []).map { String(decoding: $0, as: UTF8.self) }
            .filter { $0.hasSuffix(".dist-info") || $0.hasSuffix(".egg-info") }
        let name = "owners-" + cache.hash(Array(site.utf8)).hex.prefix(16)
        let known = cache.value(name, key: ["version": 1])?.object ?? [:]
        var rows = [String: JSONValue]()
        for folder in folders {
            let stamp = Self.stamp(site + "/" + folder)
            let row = known[folder].flatMap { $0["stamp"] == stamp ? $0 : nil } ?? Self.read(site + "/" + folder, stamp)
            rows[folder] = row
            let distribution = Distribution(
                name: row["name"]?.string ?? folder, version: row["version"]?.string, folder: folder)
            for top in (row["tops"]?.array ?? []).compactMap(\.string) { byTop[top, default: []].append(distribution) }
        }
        if rows != known { cache.store(name, key: ["version": 1], .object(rows)) }
    }

    /// Changes when a package is installed again.
    private static func stamp(_ folder: String) -> JSONValue {
        [HostCache.stamp(folder), HostCache.stamp(folder + "/RECORD"), HostCache.stamp(folder + "/top_level.txt")]
    }

    private static func read(_ folder: String, _ stamp: JSONValue) -> JSONValue {
        let isFile = !Files.isDirectory(folder)
        let head = ["METADATA", "PKG-INFO"].lazy.compactMap { PythonDistributions.metadataHead(folder + "/" + $0) }
            .first
        let fields = PythonDistributions.fields((isFile ? PythonFinder.head(of: folder, count: 4096) : head) ?? [])
        let stem = PythonFinder.name(folder).split(separator: "-")
        let version = fields.version ?? (stem.count > 1 ? String(stem[1].split(separator: ".info")[0]) : nil)
        var row: [String: JSONValue] = [
            "name": .string(fields.name ?? stem.first.map { String($0) } ?? folder), "stamp": stamp,
            "tops": .array(tops(folder).sorted().map { .string($0) }),
        ]
        row["version"] = version.map { .string($0) }
        return .object(row)
    }

    /// First components of its files; of a module in one file its name.
    private static func tops(_ folder: String) -> Set<String> {
        var tops = Set<String>()
        for path in recorded(folder) { tops.insert(String(path.prefix { $0 != "/" })) }
        if tops.isEmpty {
            for line in (Fact.file(folder + "/top_level.txt") ?? "").split(separator: "\n") {
                tops.insert(String(Fact.trimmed(line)))
                tops.insert(Fact.trimmed(line) + ".py")
            }
        }
        return tops
    }

    /// The paths that RECORD lists, relative to the site directory: `path,sha256=…,size`, the path quoted where need be.
    private static func recorded(_ folder: String) -> [Substring] {
        guard let bytes = try? Files.read(folder + "/RECORD", limit: 1 << 26) else { return [] }
        return bytes.split(separator: 0x0a).compactMap { line in
            let path =
                line.first == UInt8(ascii: "\"")
                ? line.dropFirst().prefix { $0 != UInt8(ascii: "\"") } : line.prefix { $0 != UInt8(ascii: ",") }
            return path.first == UInt8(ascii: ".") || path.isEmpty ? nil : Substring(decoding: path, as: UTF8.self)
        }
    }

    /// `nil`: nobody says that it is his.
    mutating func owner(of relative: String) -> Distribution? {
        let top = String(relative.prefix { $0 != "/" })
        let candidates = byTop[top] ?? byTop[String(top.prefix { $0 != "." })] ?? []
        guard candidates.count > 1 else { return candidates.first }
        for candidate in candidates {
            if files[candidate] == nil {
                files[candidate] = Set(Self.recorded(site + "/" + candidate.folder).map { String($0) })
            }
            if files[candidate]?.contains(relative) == true { return candidate }
        }
        return nil
    }
}
