import DFSModel

/// What a survey of git found, as a few words: `main 5f88fd6b, 2 modified, 1 untracked`.
enum GitFields {
    static func cells(_ git: JSONValue?) -> [(String, Cell)] {
        guard let git = git?["git"] else { return [] }
        if let reason = git["unknown"]?.string { return [("git", .text("unknown: \(reason)", .warning))] }
        guard let head = git["head"] else { return [] }
        var words = [git["branch"]?.string, head.string.map { String($0.prefix(12)) }].compactMap { $0 }
            .joined(separator: " ")
        for name in ["staged", "modified", "deleted", "untracked", "unmerged"] {
            if let count = git[name]?.integer, count > 0 { words += ", \(count) \(name)" }
        }
        var fields: [(String, Cell)] = [("git", .text(words))]
        for remote in git["remotes"]?.array ?? [] {
            guard let name = remote["name"]?.string, let url = remote["url"]?.string else { continue }
            fields.append(("remote", .text("\(name) \(url)")))
        }
        return fields
    }
}

/// The few facts of a host record that people ask for first; `host.json` and `--json` have all.
enum HostFields {
    static func cells(_ host: JSONValue) -> [(String, Cell)] {
        let stable = host["stable"]
        var fields = [(String, Cell)]()
        let cpu = stable?["hardware"]?["cpu"]
        if let model = cpu?["model"]?.string {
            let threads = cpu?["threads"]?.integer.map { ", \(Quantity.count($0, "thread"))" } ?? ""
            let memory = stable?["hardware"]?["memory_bytes"]?.integer.map { ", \(ByteCount(UInt64(clamping: $0)))" }
            fields.append(("cpu", .text(model + threads + (memory ?? ""))))
        }
        fields += gpus(stable?["gpu"])
        if let release = stable?["kernel"]?["release"]?.string {
            let name = stable?["os"]?["name"]?.string.map { "\($0), " } ?? ""
            fields.append(("system", .text("\(name)\(release)")))
        }
        if let python = stable?["python"], let version = python["version"]?.string {
            let packages = python["distributions"]?.object.map { ", \(Quantity.count($0.count, "package"))" } ?? ""
            fields.append(("python", .text("\(version) \(python["executable"]?.string ?? "")\(packages)")))
        }
        return fields
    }

    private static func gpus(_ gpu: JSONValue?) -> [(String, Cell)] {
        if let looked = gpu?["none"]?.string { return [("gpu", .text("none: \(looked)", .dim))] }
        if let reason = gpu?["unknown"]?.string { return [("gpu", .text("unknown: \(reason)", .warning))] }
        return (gpu?["devices"]?.array ?? []).map { device in
            let driver = gpu?["driver"]?.string.map { ", driver \($0)" } ?? ""
            return ("gpu", .text("\(device["name"]?.string ?? "unknown") \(device["uuid"]?.string ?? "")\(driver)"))
        }
    }
}

/// What was required of the host, as the plan says.
enum DriftFields {
    static func cells(_ drift: JSONValue?) -> [(String, Cell)] {
        guard let drift, drift.object != nil else { return [] }
        let required = drift["required"]?.string.map { "; \($0) was required" } ?? ""
        guard let name = drift["class"]?.string, let run = drift["against"]?.string else {
            return [("drift", .text("compared with nothing: no run had succeeded" + required))]
        }
        return [("drift", .text("\(name) with run:\(run.suffix(8))" + required))]
    }
}

/// How a run went, as its result says.
enum ResultFields {
    static func cells(_ result: JSONValue?) -> [(String, Cell)] {
        guard let result else { return [] }
        var fields = [(String, Cell)]()
        if let exit = result["exit"]?.integer { fields.append(("exit", .number(exit))) }
        if let reason = result["reason"]?.string { fields.append(("reason", .text(reason, .warning))) }
        if let failure = result["failure"], let what = failure["what"]?.string {
            let cause = failure["cause"]?.string.map { ": \($0)" } ?? ""
            fields.append(("failure", .text(what + cause, .bad)))
        }
        if let child = result["child"], let user = child["userMicroseconds"]?.integer,
            let system = child["systemMicroseconds"]?.integer, let memory = child["maximumResidentBytes"]?.integer
        {
            let cpu = Quantity.duration(milliseconds: (user + system) / 1000)
            fields.append(("used", .text("\(cpu) of cpu, \(ByteCount(UInt64(clamping: memory))) of memory at most")))
        }
        if let served = result["served"]?.string {
            let place = result["working-directory"]?.string.map { ", working directory: \($0)" } ?? ""
            fields.append(("data served", .text(served + place)))
        }
        fields += AccessFields.cells(result["access"])
        return fields
    }
}
