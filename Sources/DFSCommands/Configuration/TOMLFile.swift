import DFSModel
import DFSSystem
import TOMLKit

/// A TOML file of settings, read whole. Getters check types and name file, line and key when they are wrong.
struct TOMLFile {
    let path: String
    private let text: String
    private let root: TOMLTable

    /// `nil` when there is no such file.
    static func read(_ path: String) throws(DFSError) -> TOMLFile? {
        guard let bytes = try Files.read(path, limit: 1 << 20) else { return nil }
        return try TOMLFile(path: path, bytes: bytes)
    }

    init(path: String, bytes: [UInt8]) throws(DFSError) {
        self.path = path
        // The parser underneath takes text up to its first zero byte.
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw DFSError(
                .operational, "cannot read \(path)", cause: "it is not UTF-8 text", hint: Self.show(path, line: nil))
        }
        self.text = text
        do {
            root = try TOMLTable(string: text)
        } catch {
            let problem = error as? TOMLParseError
            let line = problem?.source.begin.line
            throw DFSError(
                .operational, "cannot read \(path)" + (line.map { ", line \($0)" } ?? ""),
                cause: problem?.description ?? "\(error)", hint: Self.show(path, line: line))
        }
    }

    func string(_ key: String, in section: String? = nil) throws(DFSError) -> String? {
        guard let value = value(key, section) else { return nil }
        guard let string = value.string else { throw mistyped(key, section, "a text") }
        return string
    }

    func strings(_ key: String, in section: String? = nil) throws(DFSError) -> [String] {
        guard let value = value(key, section) else { return [] }
        guard let array = value.array else { throw mistyped(key, section, "a list of texts") }
        var out = [String]()
        for i in 0..<array.count {
            guard let string = array[i].string else { throw mistyped(key, section, "a list of texts") }
            out.append(string)
        }
        return out
    }

    func size(_ key: String, in section: String? = nil) throws(DFSError) -> ByteCount? {
        guard let value = value(key, section) else { return nil }
        if let number = value.int, number >= 0 { return ByteCount(UInt64(number)) }
        guard let string = value.string, let size = try? ByteCount.parse(string) else {
            throw mistyped(key, section, "a size such as \"100 MB\"")
        }
        return size
    }

    /// The keys of a section in the order of their text; none where there is no such section.
    func keys(of section: String) throws(DFSError) -> [String] {
        guard let value = root[section] else { return [] }
        guard let table = value.table else { throw mistyped(section, nil, "a section: [\(section)]") }
        return table.keys.sorted()
    }

    /// A warning for each key that is not among `known` (`store`, `project.name`; `data.*` for any of a section).
    func unknownKeys(besides known: Set<String>) -> [String] {
        var found = [(key: String, section: String?)]()
        for key in root.keys where !known.contains(key) {
            guard let table = root[key]?.table, known.contains(where: { $0.hasPrefix(key + ".") }) else {
                found.append((key, nil))
                continue
            }
            guard !known.contains(key + ".*") else { continue }
            found += table.keys.filter { !known.contains(key + "." + $0) }.map { ($0, key) }
        }
        return found.map { key, section in
            let known = known.compactMap { name -> String? in
                guard let section else { return name.contains(".") ? nil : name }
                return name.hasPrefix(section + ".") ? String(name.dropFirst(section.count + 1)) : nil
            }
            let near = Suggestion.nearest(to: key, among: known.sorted()).map { "; did you mean \($0)?" } ?? ""
            return "\(place(key, section)): unknown key \(section.map { $0 + "." } ?? "")\(key)\(near)"
        }
    }

    /// The error for a value that cannot be used.
    func mistyped(_ key: String, _ section: String?, _ expected: String) -> DFSError {
        DFSError(
            .operational, "\(place(key, section)): \(section.map { $0 + "." } ?? "")\(key) cannot be used",
            cause: "it must be \(expected)", hint: Self.show(path, line: line(of: key, section)))
    }

    private func value(_ key: String, _ section: String?) -> (any TOMLValueConvertible)? {
        guard let section else { return root[key] }
        return root[section]?.table?[key]
    }

    private func place(_ key: String, _ section: String?) -> String {
        line(of: key, section).map { "\(path), line \($0)" } ?? path
    }

    /// Where a key is set, for messages: the parser tells positions only of its own errors.
    private func line(of key: String, _ section: String?) -> Int? {
        var current: String?
        for (i, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.filter { $0 != " " && $0 != "\t" && $0 != "\"" && $0 != "'" }
            if content.hasPrefix("[") {
                current = String(content.dropFirst().prefix { $0 != "]" })
                if section == nil, current == key { return i + 1 }
            } else if current == section, content.hasPrefix(key + "=") {
                return i + 1
            } else if current == nil, let section, content.hasPrefix("\(section).\(key)=") {
                return i + 1
            }
        }
        return nil
    }

    private static func show(_ path: String, line: Int?) -> String {
        (line.map { "sed -n \($0)p " } ?? "file ") + ShellText.quote(path)
    }
}
