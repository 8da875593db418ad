import DFSModel

extension LedgerEvent {
    /// Reads an event. One of a known kind whose members are missing or malformed throws `.corrupt`; members that the
    /// kind does not have are passed over.
    package init(json: JSONValue) throws(DFSError) {
        guard let members = json.object, let kind = members["kind"]?.string else {
            throw DFSError(.corrupt, "malformed event", cause: "it is not an object with a kind")
        }
        let fields = JSONFields(members) { DFSError(.corrupt, "malformed event \(kind)", cause: $0) }
        switch kind {
        case "store.created": self = .storeCreated
        case "key.added": self = try Self.keyAdded(fields)
        case "key.approved":
            self = .keyApproved(try fields.value("key") { KeyID(text: $0) }, text: try fields.optionalAddress("text"))
        case "key.revoked":
            self = .keyRevoked(try fields.value("key") { KeyID(text: $0) }, text: try fields.optionalAddress("text"))
        case "dataset.committed": self = .datasetCommitted(try DatasetCommitted(fields))
        case "tag.set": self = .tagSet(try TagSet(fields))
        case "tag.removed": self = .tagRemoved(try TagRemoved(fields))
        case "code.captured": self = .codeCaptured(try CodeCaptured(fields))
        case "run.started": self = .runStarted(try RunStarted(fields))
        case "run.finished": self = .runFinished(try RunFinished(fields))
        case "run.interrupted": self = .runInterrupted(try RunFinished(fields))
        case "run.annotated": self = .runAnnotated(try RunAnnotated(fields))
        case "dataset.removed": self = .datasetRemoved(try DatasetRemoved(fields))
        case "gc.condemned": self = .packsCondemned(try PacksCondemned(fields))
        case "gc.performed": self = .packsDeleted(try PacksDeleted(fields))
        default: self = .unknown(json)
        }
    }

    private static func keyAdded(_ fields: JSONFields) throws(DFSError) -> LedgerEvent {
        // The line must be the one form of the key, so that a reader may compare texts.
        let key = try fields.value("public") { line in PublicKey(line: line).flatMap { $0.line == line ? $0 : nil } }
        _ = try fields.value("key") { $0 == key.id.text ? $0 : nil }
        return .keyAdded(key, owner: try fields.flag("owner"))
    }

    package var json: JSONValue {
        if case .unknown(let json) = self { return json }
        var members = members
        members["kind"] = .string(kind)
        return .object(members)
    }

    private var members: [String: JSONValue] {
        switch self {
        case .storeCreated, .unknown: [:]
        case .keyAdded(let key, let owner):
            ["key": .string(key.id.text), "public": .string(key.line), "owner": .bool(owner)]
        case .keyApproved(let key, let text), .keyRevoked(let key, let text):
            ["key": .string(key.text)].adding("text", text)
        case .datasetCommitted(let event): event.members
        case .tagSet(let event): event.members
        case .tagRemoved(let event): event.members
        case .codeCaptured(let event): event.members
        case .runStarted(let event): event.members
        case .runFinished(let event), .runInterrupted(let event): event.members
        case .runAnnotated(let event): event.members
        case .datasetRemoved(let event): event.members
        case .packsCondemned(let event): event.members
        case .packsDeleted(let event): event.members
        }
    }
}

extension JSONFields {
    fileprivate func optionalAddress(_ name: String) throws(DFSError) -> ObjectAddress? {
        try optionalDigest(name).map { ObjectAddress($0) }
    }

    fileprivate func run() throws(DFSError) -> RunID { try value("run") { RunID($0) } }

    /// Whether the event is about a run; one that names a dataset too has no single reading.
    fileprivate func isAboutRun() throws(DFSError) -> Bool {
        guard has("run") else { return false }
        _ = try value("run") { has("dataset") ? nil : $0 }
        return true
    }

    fileprivate func optionalTree(_ name: String) throws(DFSError) -> TreeReference? {
        has(name) ? try TreeReference(try object(name)) : nil
    }
}

extension [String: JSONValue] {
    fileprivate func adding(_ name: String, _ address: ObjectAddress?) -> [String: JSONValue] {
        guard let address else { return self }
        return merging([name: .string(address.digest.text)]) { $1 }
    }

    fileprivate func adding(_ name: String, _ tree: TreeReference?) -> [String: JSONValue] {
        guard let tree else { return self }
        return merging([name: .object(tree.members)]) { $1 }
    }

    fileprivate func adding(_ more: [String: JSONValue]) -> [String: JSONValue] { merging(more) { $1 } }
}

extension LedgerEvent.DatasetCommitted {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            dataset: try fields.text("dataset"), version: try fields.number("version"),
            tree: try TreeReference(fields), record: try RecordReference(fields),
            text: try fields.optionalAddress("text"))
    }

    fileprivate var members: [String: JSONValue] {
        ["dataset": .string(dataset), "version": .integer(Int64(version))].adding(tree.members)
            .adding(record.members).adding("text", text)
    }
}

extension LedgerEvent.TagSet {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        let target: TagTarget =
            try fields.isAboutRun()
            ? .run(try fields.run())
            : .version(dataset: try fields.text("dataset"), number: try fields.number("version"))
        self.init(
            tag: try fields.text("tag"), target: target, moved: try fields.flag("moved"),
            text: try fields.optionalAddress("text"))
    }

    fileprivate var members: [String: JSONValue] {
        let common: [String: JSONValue] = ["tag": .string(tag), "moved": .bool(moved)].adding("text", text)
        return switch target {
        case .version(let dataset, let number):
            common.adding(["dataset": .string(dataset), "version": .integer(Int64(number))])
        case .run(let run): common.adding(["run": .string(run.description)])
        }
    }
}

extension LedgerEvent.TagRemoved {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            tag: try fields.text("tag"),
            holder: try fields.isAboutRun() ? .run(try fields.run()) : .dataset(try fields.text("dataset")),
            text: try fields.optionalAddress("text"))
    }

    fileprivate var members: [String: JSONValue] {
        let common: [String: JSONValue] = ["tag": .string(tag)].adding("text", text)
        return switch holder {
        case .dataset(let dataset): common.adding(["dataset": .string(dataset)])
        case .run(let run): common.adding(["run": .string(run.description)])
        }
    }
}

extension LedgerEvent.CodeCaptured {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            project: try fields.text("project"), snapshot: try fields.text("snapshot"),
            tree: try TreeReference(fields), record: try RecordReference(fields))
    }

    fileprivate var members: [String: JSONValue] {
        ["project": .string(project), "snapshot": .string(snapshot)].adding(tree.members).adding(record.members)
    }
}

extension LedgerEvent.RunStarted {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        var data = [RunInput]()
        for input in try fields.array("data") {
            guard let members = input.object else {
                throw DFSError(.corrupt, "malformed event run.started", cause: "member data is malformed")
            }
            data.append(
                try RunInput(
                    JSONFields(members) {
                        DFSError(.corrupt, "malformed event run.started", cause: "in member data, \($0)")
                    }))
        }
        self.init(
            run: try fields.run(), project: try fields.text("project"), snapshot: try fields.text("snapshot"),
            data: data, record: try RecordReference(fields), text: try fields.optionalAddress("text"))
    }

    fileprivate var members: [String: JSONValue] {
        [
            "run": .string(run.description), "project": .string(project), "snapshot": .string(snapshot),
            "data": .array(data.map(\.json)),
        ].adding(record.members).adding("text", text)
    }
}

extension LedgerEvent.RunFinished {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            run: try fields.run(), outcome: try fields.value("state") { RunOutcome(rawValue: $0) },
            outputs: try fields.optionalTree("outputs"), work: try fields.optionalTree("work"),
            logs: try fields.optionalTree("logs"), evidence: try fields.optionalTree("evidence"),
            record: try RecordReference(fields))
    }

    fileprivate var members: [String: JSONValue] {
        ["run": .string(run.description), "state": .string(outcome.rawValue)].adding(record.members)
            .adding("outputs", outputs).adding("work", work).adding("logs", logs)
            .adding("evidence", evidence)
    }
}

extension LedgerEvent.RunAnnotated {
    fileprivate init(_ fields: JSONFields) throws(DFSError) {
        self.init(
            run: try fields.run(), name: try fields.text("name"),
            tree: fields.has("tree") ? try TreeReference(fields) : nil, record: try RecordReference(fields),
            text: try fields.optionalAddress("text"))
    }

    fileprivate var members: [String: JSONValue] {
        ["run": .string(run.description), "name": .string(name)].adding(record.members)
            .adding(tree?.members ?? [:]).adding("text", text)
    }
}
