import DFSModel
import DFSSystem

/// The Python that the job would run and what is installed for it.
enum PythonFacts {
    static func capture(_ request: HostRequest, _ cache: HostCache) -> JSONValue {
        let path = request.environment["PATH"] ?? ""
        let finder = PythonFinder(path: path, workingDirectory: request.workingDirectory)
        guard let found = finder.find(request.arguments) else {
            return Fact.none("no python in the command, no python3 or python in PATH")
        }
        var facts: [String: JSONValue] = ["found_through": .string(found.how)]
        let executable: String
        switch PythonShim.resolve(found.executable, request, cache) {
        case .success(let real): executable = real
        case .failure(let reason):
            facts["executable"] = .string(request.shortened(found.executable))
            for name in ["conda", "distributions", "prefix", "version"] { facts[name] = Fact.unknown(reason.text) }
            return .object(facts)
        }
        facts["executable"] = .string(request.shortened(executable))
        facts["version"] = version(executable, request, cache)
        guard let installation = PythonInstallation(executable: executable) else {
            let reason = Fact.unknown("no library folder with os.py belongs to the executable")
            for name in ["conda", "distributions", "prefix"] { facts[name] = reason }
            return .object(facts)
        }
        facts["prefix"] = .string(request.shortened(installation.prefix))
        facts["base_prefix"] = .string(request.shortened(installation.basePrefix))
        facts["virtual_environment"] = .bool(installation.isVirtual)
        facts["sees_system_packages"] = .bool(installation.seesSystemPackages)
        facts["conda"] = conda(installation.prefix)
        let sites = installation.siteDirectories(
            environment: request.environment, workingDirectory: request.workingDirectory)
        facts["site_directories"] = Fact.list(
            sites.map { .string(request.shortened($0)) }, orNone: "no site-packages or dist-packages under the prefix")
        facts["distributions"] = distributions(sites, request, cache)
        return .object(facts)
    }

    private static func cacheName(_ kind: String, _ text: String, _ request: HostRequest) -> String {
        kind + "-" + request.hash(Array(text.utf8)).hex.prefix(16)
    }

    // MARK: version

    private static func version(_ executable: String, _ request: HostRequest, _ cache: HostCache) -> JSONValue {
        let real = Files.resolved(executable) ?? executable
        let name = cacheName("python", real, request)
        let key: JSONValue = ["executable": .string(real), "stamp": HostCache.stamp(real), "version": 1]
        if let known = cache.value(name, key: key), known.string != nil { return known }
        let answer = ask(executable, ["--version"], request)
        guard case .success(let text) = answer, let word = text.split(separator: " ").last, word.first?.isNumber == true
        else {
            if case .failure(let reason) = answer { return Fact.unknown("--version: \(reason.text)") }
            return Fact.unknown("--version printed no version")
        }
        cache.store(name, key: key, .string(String(word)))
        return .string(String(word))
    }

    struct Reason: Error { let text: String }

    /// Runs the interpreter for two seconds at most; the last line that it printed.
    static func ask(_ executable: String, _ arguments: [String], _ request: HostRequest) -> Result<String, Reason> {
        do {
            let outcome = try CapturedCommand.run(
                [executable] + arguments, environment: request.environment, milliseconds: 2000, outputLimit: 1 << 16)
            guard outcome.end != .timedOut else { return .failure(Reason(text: "timed out after 2 s")) }
            guard outcome.succeeded else { return .failure(Reason(text: outcome.complaint)) }
            // Python 2 prints its version on stderr.
            let text = outcome.output.isEmpty ? outcome.errors : outcome.output
            let line = String(decoding: text, as: UTF8.self).split(separator: "\n").last.map { Fact.trimmed($0) }
            guard let line, !line.isEmpty else { return .failure(Reason(text: "printed nothing")) }
            return .success(String(line))
        } catch {
            return .failure(Reason(text: error.cause ?? error.what))
        }
    }

    // MARK: packages

    private static func distributions(_ sites: [String], _ request: HostRequest, _ cache: HostCache) -> JSONValue {
        let looked = "no .dist-info or .egg-info in the site directories"
        let key: JSONValue = [
            "home": .string(request.home ?? "/"), "sites": .array(sites.map { .string($0) }), "version": 1,
        ]
        let name = cacheName("distributions", sites.joined(separator: "\n"), request)
        if let known = cache.value(name, key: key), let found = known["found"]?.object,
            let watched = known["watched"]?.array,
            watched.allSatisfy({ HostCache.stamp($0["path"]?.string ?? "") == $0["stamp"] })
        {
            return Fact.map(found, orNone: looked)
        }
        let list = PythonDistributions(siteDirectories: sites, shorten: request.shortened)
        cache.store(name, key: key, ["found": .object(list.found), "watched": .array(list.watched)])
        return Fact.map(list.found, orNone: looked)
    }

    /// Conda's packages, which are not only Python's, from the names of its records: `name-version-build.json`.
    private static func conda(_ prefix: String) -> JSONValue {
        let folder = prefix + "/conda-meta"
        guard let names = try? DirectoryListing.names(of: folder) else {
            return Fact.none("no conda-meta in the prefix")
        }
        var members = [String: JSONValue]()
        for name in names {
            let text = String(decoding: name, as: UTF8.self)
            guard text.hasSuffix(".json") else { continue }
            let parts = text.dropLast(5).split(separator: "-")
            guard parts.count >= 3 else { continue }
            members[parts.dropLast(2).joined(separator: "-")] = [
                "build": .string(String(parts[parts.count - 1])), "version": .string(String(parts[parts.count - 2])),
            ]
        }
        return Fact.map(members, orNone: "no package record in conda-meta")
    }
}
