import DFSModel
import DFSSystem

/// The installed distributions of a Python, from the folders that installers leave beside the packages.
struct PythonDistributions {
    /// Name as the distribution writes it → facts. Of two with one name, the first in `sys.path` is the one in force.
    private(set) var found = [String: JSONValue]()
    /// Files and directories whose change makes this list out of date, with what they were.
    private(set) var watched = [JSONValue]()
    private let shorten: (String) -> String
    private var normalised = Set<String>()

    init(siteDirectories: [String], shorten: @escaping (String) -> String) {
        self.shorten = shorten
        for directory in siteDirectories { watch(Files.parent(directory)) }
        var extra = [String]()
        for directory in siteDirectories { extra += scan(directory, editable: nil) }
        var seen = Set(siteDirectories)
        // Directories that .pth files add to the path: where `setup.py develop` leaves the metadata.
        for directory in extra where seen.insert(directory).inserted && Files.isDirectory(directory) {
            _ = scan(directory, editable: directory)
        }
    }

    private mutating func watch(_ path: String) {
        watched.append(["path": .string(path), "stamp": HostCache.stamp(path)])
    }

    /// Adds the distributions in `directory`; returns the directories that its .pth files name.
    private mutating func scan(_ directory: String, editable: String?) -> [String] {
        watch(directory)
        var extra = [String]()
        for name in (try? DirectoryListing.names(of: directory)) ?? [] {
            let text = String(decoding: name, as: UTF8.self)
            let path = directory + "/" + text
            if text.hasSuffix(".dist-info") {
                add(["METADATA"], in: path, folder: String(text.dropLast(10)), editable: editable)
            } else if text.hasSuffix(".egg-info") {
                add(["PKG-INFO", ""], in: path, folder: String(text.dropLast(9)), editable: editable)
            } else if text.hasSuffix(".egg") {
                add(["EGG-INFO/PKG-INFO"], in: path, folder: String(text.dropLast(4)), editable: editable)
            } else if editable == nil, text.hasSuffix(".pth") {
                watch(path)
                extra += Self.directories(in: Fact.file(path) ?? "", from: directory)
            }
        }
        return extra
    }

    /// Lines of a .pth file that are paths; the others are code.
    private static func directories(in text: String, from directory: String) -> [String] {
        text.split(separator: "\n").map { Fact.trimmed($0) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") && !$0.hasPrefix("import ") && !$0.hasPrefix("import\t") }
            .map { Files.absolute(String($0), from: directory) }
    }

    private mutating func add(_ files: [String], in path: String, folder: String, editable: String?) {
        var fields: (name: String?, version: String?) = (nil, nil)
        for file in files where fields.name == nil {
            let full = file.isEmpty ? path : path + "/" + file
            if let head = Self.metadataHead(full) { fields = Self.fields(head) }
        }
        // `name-version-py3.11` or `name-version`: what the folder's name says where the file does not.
        let parts = folder.split(separator: "-")
        let name = fields.name ?? parts.first.map(String.init) ?? folder
        guard normalised.insert(Self.normalise(name)).inserted else { return }
        let version = fields.version ?? (parts.count > 1 ? String(parts[1]) : nil)
        var facts: [String: JSONValue] = [
            "version": Fact.text(version, orUnknown: "neither metadata nor folder name tells it")
        ]
        if let editable { facts["editable"] = .string(shorten(editable)) }
        if let origin = Self.origin(path + "/direct_url.json") {
            if let project = origin.editable { facts["editable"] = .string(shorten(project)) }
            if let other = origin.fact { facts["origin"] = other }
        }
        found[name] = .object(facts)
    }

    static func metadataHead(_ path: String) -> [UInt8]? {
        guard !Files.isDirectory(path) else { return nil }
        return PythonFinder.head(of: path, count: 4096)
    }

    /// Name and Version of the header, which ends at the first empty line.
    static func fields(_ head: [UInt8]) -> (name: String?, version: String?) {
        var out: (name: String?, version: String?) = (nil, nil)
        for line in head.split(separator: 0x0a, omittingEmptySubsequences: false) {
            if line.isEmpty || line.first == 0x0d || (out.name != nil && out.version != nil) { break }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon - line.startIndex <= 7 else { continue }
            let key = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            guard key == "name" || key == "version" else { continue }
            let value = String(Fact.trimmed(String(decoding: line[(colon + 1)...], as: UTF8.self)))
            if key == "name" { out.name = value } else { out.version = value }
        }
        return out
    }

    /// What direct_url.json says (PEP 610): the project of an editable install, else where it was installed from.
    private static func origin(_ path: String) -> (editable: String?, fact: JSONValue?)? {
        guard let bytes = try? Files.read(path, limit: 1 << 20), let value = try? JSONValue.parse(bytes),
            let url = value["url"]?.string
        else { return nil }
        if value["dir_info"]?["editable"]?.bool == true {
            return (
                url.hasPrefix("file://") ? percentDecoded(url.dropFirst(7)) : RemoteURL.withoutCredentials(url), nil
            )
        }
        if url.hasPrefix("file://") { return (nil, "a local file or directory") }
        var fact: [String: JSONValue] = ["url": .string(RemoteURL.withoutCredentials(url))]
        if let commit = value["vcs_info"]?["commit_id"]?.string, !commit.isEmpty { fact["commit"] = .string(commit) }
        return (nil, .object(fact))
    }

    private static func percentDecoded(_ text: Substring) -> String {
        let source = Array(text.utf8)
        var out = [UInt8]()
        var i = 0
        while i < source.count {
            if source[i] == UInt8(ascii: "%"), i + 2 < source.count,
                let byte = UInt8(String(decoding: source[i + 1...i + 2], as: UTF8.self), radix: 16)
            {
                out.append(byte)
                i += 3
            } else {
                out.append(source[i])
                i += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Lowercase, with runs of `-`, `_` and `.` as one `-` (PEP 503).
    static func normalise(_ name: String) -> String {
        var out = ""
        for character in name.lowercased() {
            if "-_.".contains(character) {
                if out.last != "-" { out.append("-") }
            } else {
                out.append(character)
            }
        }
        return out
    }
}
