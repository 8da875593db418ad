import DFSModel

/// Reads members of a JSON object by name; what is missing or of another kind is an error that names the member.
struct JSONFields {
    private let members: [String: JSONValue]
    private let problem: @Sendable (String) -> DFSError

    init(_ members: [String: JSONValue], problem: @escaping @Sendable (String) -> DFSError) {
        self.members = members
        self.problem = problem
    }

    func malformed(_ name: String) -> DFSError {
        problem(members[name] == nil ? "member \(name) is missing" : "member \(name) is malformed")
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    func text(_ name: String) throws(DFSError) -> String {
        guard let text = members[name]?.string else { throw malformed(name) }
        return text
    }

    func optionalText(_ name: String) throws(DFSError) -> String? { has(name) ? try text(name) : nil }

    func flag(_ name: String) throws(DFSError) -> Bool {
        guard let flag = members[name]?.bool else { throw malformed(name) }
        return flag
    }

    /// An integer from 0 up.
    func count(_ name: String) throws(DFSError) -> UInt64 {
        guard let value = members[name]?.integer.flatMap({ UInt64(exactly: $0) }) else { throw malformed(name) }
        return value
    }

    /// An integer from 1 up.
    func number(_ name: String) throws(DFSError) -> Int {
        guard let value = members[name]?.integer.flatMap({ Int(exactly: $0) }), value > 0 else {
            throw malformed(name)
        }
        return value
    }

    func digest(_ name: String) throws(DFSError) -> Digest { try value(name) { Digest(text: $0) } }

    func optionalDigest(_ name: String) throws(DFSError) -> Digest? { has(name) ? try digest(name) : nil }

    func array(_ name: String) throws(DFSError) -> [JSONValue] {
        guard let array = members[name]?.array else { throw malformed(name) }
        return array
    }

    func object(_ name: String) throws(DFSError) -> JSONFields {
        guard let object = members[name]?.object else { throw malformed(name) }
        return JSONFields(object, problem: problem)
    }

    /// All members of an object.
    func members(of name: String) throws(DFSError) -> [String: JSONValue] {
        guard let object = members[name]?.object else { throw malformed(name) }
        return object
    }

    /// A text that `read` understands.
    func value<Value>(_ name: String, _ read: (String) -> Value?) throws(DFSError) -> Value {
        guard let value = members[name]?.string.flatMap(read) else { throw malformed(name) }
        return value
    }
}
