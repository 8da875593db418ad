import DFSHistory
import DFSLedger
import DFSModel

/// One `--data [KEY=]REF`, resolved.
struct DataInput: Sendable {
    let dataset: String
    let version: VersionRecord
    /// The name under `data/`.
    let key: String
    /// Where it appears besides, absolute.
    let path: String?
    /// What the reference stood for, where it did not say the version.
    let resolution: String?

    /// Without the path, which may name a person: it is in the run's text.
    var ledgerInput: RunInput {
        RunInput(key: key, dataset: dataset, version: version.number, content: version.content)
    }

    /// The variable that names its directory: `DFS_DATA_FACES`.
    var variable: String {
        "DFS_DATA_"
            + String(
                decoding: key.uppercased().utf8.map { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) ? byte : UInt8(ascii: "_")
                }, as: UTF8.self)
    }

    /// Resolves all options; keys must differ.
    static func resolve(
        _ options: [String], _ resolver: Resolver, absolute: (String) throws(DFSError) -> String
    ) throws(DFSError) -> [DataInput] {
        var inputs = [DataInput]()
        for option in options {
            let input = try resolve(option, resolver, absolute)
            if let other = inputs.first(where: { $0.key == input.key }) {
                throw DFSError(
                    .usage, "two inputs have the key \(input.key)",
                    cause: "\(other.dataset)@v\(other.version.number) and \(input.dataset)@v\(input.version.number)",
                    hint: "dfs-run --data other=\(input.dataset)@v\(input.version.number) …")
            }
            if let other = inputs.first(where: { $0.variable == input.variable }) {
                throw DFSError(
                    .usage, "the keys \(other.key) and \(input.key) have one variable",
                    cause: "\(input.variable) can name one directory only",
                    hint: "dfs-run --data other=\(input.dataset)@v\(input.version.number) …")
            }
            inputs.append(input)
        }
        return inputs
    }

    private static func check(_ key: String, _ option: String) throws(DFSError) {
        let cause =
            switch key {
            case "": "its key is empty"
            case ".", "..": "\(key) is no name"
            default: key.utf8.contains(0) ? "its key holds a zero byte" : nil as String?
            }
        if let cause { throw refusal(option, cause) }
    }

    /// Neither in place of everything nor over the run's own directory.
    private static func check(path: String, _ option: String) throws(DFSError) {
        if path == "/" { throw refusal(option, "it would hide everything at /") }
        guard path == RunView.deepops || path.hasPrefix(RunView.deepops + "/") else { return }
        throw refusal(option, "\(RunView.deepops) is the run's own directory")
    }

    private static func refusal(_ option: String, _ cause: String) -> DFSError {
        DFSError(.usage, "--data \(option) cannot be used", cause: cause, hint: "dfs-run --help")
    }

    private static func resolve(
        _ option: String, _ resolver: Resolver, _ absolute: (String) throws(DFSError) -> String
    ) throws(DFSError) -> DataInput {
        var key: String?
        var text = option
        if let equals = option.firstIndex(of: "=") {
            key = String(option[..<equals])
            text = String(option[option.index(after: equals)...])
        }
        if let key { try check(key, option) }
        let reference = try resolver.parse(text)
        guard case .dataset(let name, let selector, let inside) = reference else {
            throw DFSError(.usage, "\(text) is not a dataset", hint: "dfs ls")
        }
        guard inside.isEmpty else {
            throw DFSError(
                .usage, "\(text) is a part of a dataset", cause: "a run takes whole versions",
                hint: "dfs-run --data \(name) …")
        }
        let version = try resolver.version(name, selector)
        let resolution = Resolution.sentence(text, reference, version)
        let defaultKey = name.split(separator: "/").last.map(String.init) ?? name
        guard let key else {
            return DataInput(dataset: name, version: version, key: defaultKey, path: nil, resolution: resolution)
        }
        guard key.contains("/") else {
            return DataInput(dataset: name, version: version, key: key, path: nil, resolution: resolution)
        }
        let path = try absolute(key)
        try check(path: path, option)
        return DataInput(
            dataset: name, version: version, key: path.split(separator: "/").last.map(String.init) ?? defaultKey,
            path: path, resolution: resolution)
    }
}
