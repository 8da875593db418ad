import DFSModel

/// One line of a run's `metrics.jsonl`: an object with numbers, as Python's `json` writes it.
///
/// Objects in it are flattened: `{"train":{"loss":1}}` is `train.loss`. `step` is the line's step, `params` what was
/// set once for all of the run. Texts, lists, booleans and nulls are nobody's metrics and are passed over.
struct MetricLine {
    private(set) var values: [(name: String, value: Double)] = []
    private(set) var step: Double?
    private(set) var parameters: [String: JSONValue] = [:]

    /// `nil`: the line is not an object.
    init?(_ bytes: some Sequence<UInt8>) {
        guard let value = try? JSONValue.parse(Self.spelled(Array(bytes))), case .object(let members) = value else {
            return nil
        }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "step": step = Self.number(value)
            case "params":
                if let members = value.object {
                    Self.parameters(members, "", &parameters)
                } else {
                    collect(name, value)
                }
            default: collect(name, value)
            }
        }
    }

    private mutating func collect(_ name: String, _ value: JSONValue) {
        if let number = Self.number(value) { return values.append((name, number)) }
        for (member, value) in (value.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            collect(name + "." + member, value)
        }
    }

    private static func parameters(
        _ members: [String: JSONValue], _ prefix: String, _ out: inout [String: JSONValue]
    ) {
        for (name, value) in members {
            if let inner = value.object {
                parameters(inner, prefix + name + ".", &out)
            } else if case .string(let text) = value, let number = words.first(where: { $0.mark == text }) {
                out[prefix + name] = .string(number.word)
            } else {
                out[prefix + name] = value
            }
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        if let double = value.double { return double }
        guard let text = value.string else { return nil }
        return words.first { $0.mark == text }?.value
    }

    // MARK: What is not finite

    /// Python writes `NaN`, `Infinity` and `-Infinity`, which no JSON parser has to know. They are read as texts that no
    /// line can hold otherwise: a control character must be escaped in JSON, and these begin with one that is.
    private static let words: [(word: String, mark: String, value: Double)] = [
        ("-Infinity", "\u{1}dfs -Infinity", -.infinity), ("Infinity", "\u{1}dfs Infinity", .infinity),
        ("NaN", "\u{1}dfs NaN", .nan),
    ]

    private static func spelled(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "N")) || bytes.contains(UInt8(ascii: "I")) else { return bytes }
        var out = [UInt8]()
        var isText = false
        var i = 0
        while i < bytes.count {
            if isText, bytes[i] == UInt8(ascii: "\\"), i + 1 < bytes.count {
                out += bytes[i...i + 1]
                i += 2
                continue
            }
            if bytes[i] == UInt8(ascii: "\"") { isText.toggle() }
            if !isText, let found = words.first(where: { bytes[i...].starts(with: $0.word.utf8) }) {
                out += Array("\"\\u0001\(found.mark.dropFirst())\"".utf8)
                i += found.word.utf8.count
                continue
            }
            out.append(bytes[i])
            i += 1
        }
        return out
    }
}
