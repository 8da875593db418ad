import DFSModel

extension EnterPlan {
    static let format: JSONValue = "dfs.enter/1"

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "format": Self.format, "namespace": .string(namespace.rawValue), "uid": .integer(Int64(uid)),
            "gid": .integer(Int64(gid)), "steps": .array(steps.map(\.json)), "directory": .path(workingDirectory),
            "environment": .array(environment.map { .name($0) }), "arguments": .array(arguments.map { .name($0) }),
            "parent": .integer(Int64(parent)), "status": .integer(Int64(status)),
            "gate": .integer(Int64(gate)),
            "avoidsNewCalls": .bool(avoidsNewCalls),
        ]
        if !joins.isEmpty { members["joins"] = .array(joins.map { .path($0) }) }
        if let standardOutput { members["stdout"] = .path(standardOutput) }
        if let standardError { members["stderr"] = .path(standardError) }
        return .object(members)
    }

    /// Throws `.launcher` for anything that is not a plan of this version.
    package init(json: JSONValue) throws(DFSError) {
        guard json["format"] == Self.format else { throw Self.malformed("its format is not dfs.enter/1") }
        guard let namespace = json["namespace"]?.string.flatMap(Namespace.init(rawValue:)),
            let uid = json["uid"]?.integer.flatMap(UInt32.init(exactly:)),
            let gid = json["gid"]?.integer.flatMap(UInt32.init(exactly:)),
            let parent = json["parent"]?.integer.flatMap(Int32.init(exactly:)),
            let status = json["status"]?.integer.flatMap(Int32.init(exactly:))
        else { throw Self.malformed("namespace, uid, gid, parent or status") }
        self.init(
            namespace: namespace, uid: uid, gid: gid, workingDirectory: try json.path("directory"),
            environment: try json.names("environment"), arguments: try json.names("arguments"))
        self.parent = parent
        self.status = status
        gate = json["gate"]?.integer.flatMap(Int32.init(exactly:)) ?? -1
        avoidsNewCalls = json["avoidsNewCalls"]?.bool ?? false
        joins = try (json["joins"]?.array ?? []).map { path throws(DFSError) in
            try JSONValue.object(["path": path]).path("path")
        }
        if json["stdout"] != nil { standardOutput = try json.path("stdout") }
        if json["stderr"] != nil { standardError = try json.path("stderr") }
        for step in json["steps"]?.array ?? [] { steps.append(try Step(json: step)) }
        try validate()
    }

    private func validate() throws(DFSError) {
        guard !arguments.isEmpty else { throw Self.malformed("no command") }
        guard !arguments.contains(where: { $0.contains(0) }), !environment.contains(where: { $0.contains(0) }) else {
            throw Self.malformed("a NUL in an argument or variable")
        }
        guard namespace != .none || steps.isEmpty else { throw Self.malformed("steps without a namespace") }
    }

    static func malformed(_ cause: String) -> DFSError {
        DFSError(.launcher, "malformed plan for entering a run", cause: cause)
    }
}

extension EnterPlan.Step {
    package var json: JSONValue {
        switch self {
        case .skeleton(let at): ["step": "skeleton", "at": .path(at)]
        case .directory(let at): ["step": "directory", "at": .path(at)]
        case .symlink(let at, let target): ["step": "symlink", "at": .path(at), "to": .name(target)]
        case .bind(let source, let at, let access):
            ["step": "bind", "from": .path(source), "at": .path(at), "access": .string(access.rawValue)]
        case .overlay(let at, let lower, let layer):
            ["step": "overlay", "at": .path(at), "lower": .array(lower.map { .path($0) }), "layer": .path(layer)]
        case .visible(let real, let at, let paths):
            ["step": "visible", "from": .path(real), "at": .path(at), "paths": .array(paths.map { .name($0) })]
        }
    }

    package init(json: JSONValue) throws(DFSError) {
        let at = try json.path("at")
        switch json["step"]?.string {
        case "skeleton": self = .skeleton(at: at)
        case "directory": self = .directory(at)
        case "symlink": self = .symlink(at, target: try json.name("to"))
        case "bind":
            guard let access = json["access"]?.string.flatMap(EnterPlan.Access.init(rawValue:)) else {
                throw EnterPlan.malformed("access of \(at)")
            }
            self = .bind(source: try json.path("from"), at: at, access)
        case "overlay":
            let lower = try json.names("lower").map { RawPath($0) }
            guard !lower.isEmpty, lower.allSatisfy(\.isNormal) else { throw EnterPlan.malformed("lower of \(at)") }
            self = .overlay(at: at, lower: lower, layer: try json.path("layer"))
        case "visible":
            let paths = try json.names("paths")
            guard paths.allSatisfy({ RawPath.isNormal(relative: $0) }) else {
                throw EnterPlan.malformed("paths of \(at)")
            }
            self = .visible(real: try json.path("from"), at: at, paths: paths)
        default: throw EnterPlan.malformed("unknown step at \(at)")
        }
    }
}

extension JSONValue {
    static func name(_ bytes: [UInt8]) -> JSONValue { .string(NameText.encode(bytes)) }
    static func path(_ path: RawPath) -> JSONValue { name(path.bytes) }

    fileprivate func name(_ key: String) throws(DFSError) -> [UInt8] {
        guard let bytes = self[key]?.string.flatMap(NameText.decode) else { throw EnterPlan.malformed(key) }
        return bytes
    }

    fileprivate func path(_ key: String) throws(DFSError) -> RawPath {
        let path = RawPath(try name(key))
        guard path.isNormal else { throw EnterPlan.malformed("\(key) is not an absolute path: \(path)") }
        return path
    }

    fileprivate func names(_ key: String) throws(DFSError) -> [[UInt8]] {
        guard let elements = self[key]?.array else { throw EnterPlan.malformed(key) }
        var out = [[UInt8]]()
        for element in elements {
            guard let bytes = element.string.flatMap(NameText.decode) else { throw EnterPlan.malformed(key) }
            out.append(bytes)
        }
        return out
    }
}
