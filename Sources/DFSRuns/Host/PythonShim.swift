import DFSModel
import DFSSystem

/// Sees through scripts that stand in for an interpreter and choose one when they are run (pyenv, asdf, wrappers).
enum PythonShim {
    /// The interpreter itself; a binary is its own answer. A script has to be asked, which starts Python once; for
    /// pyenv, whose choice rests on known files, the answer is kept.
    static func resolve(
        _ executable: String, _ request: HostRequest, _ cache: HostCache
    ) -> Result<String, PythonFacts.Reason> {
        guard let head = PythonFinder.head(of: executable, count: 4096) else {
            return .failure(PythonFacts.Reason(text: "the executable cannot be read"))
        }
        guard head.starts(with: Array("#!".utf8)) else { return .success(executable) }
        let isPyenv = String(decoding: head, as: UTF8.self).contains("/libexec/pyenv\" exec")
        let name = "shim-" + request.hash(Array((executable + "\n" + request.workingDirectory).utf8)).hex.prefix(16)
        let key = pyenvKey(executable, request)
        if isPyenv, let known = cache.value(name, key: key)?.string, Files.exists(known) { return .success(known) }
        // The script is asked from this process's directory: `-c` must not import from it.
        let code = "import sys; sys.stdout.write(sys.executable)"
        let answer = PythonFacts.ask(executable, ["-E", "-S", "-c", code], request)
        guard case .success(let path) = answer else { return answer }
        guard path.hasPrefix("/") else {
            return .failure(PythonFacts.Reason(text: "the script in its place named no executable"))
        }
        if isPyenv { cache.store(name, key: key, .string(path)) }
        return .success(path)
    }

    /// What pyenv decides by: PYENV_VERSION, `.python-version` from the working directory upwards, the global file.
    private static func pyenvKey(_ executable: String, _ request: HostRequest) -> JSONValue {
        var stamps = [JSONValue]()
        var directory = request.workingDirectory
        while true {
            let path = directory + "/.python-version"
            let stamp = HostCache.stamp(path)
            if stamp != .null { stamps += [.string(path), stamp] }
            if directory == "/" || directory == "." { break }
            directory = Files.parent(directory)
        }
        let root = Files.parent(Files.parent(executable))
        for path in [executable, root + "/version", root + "/versions"] {
            stamps += [.string(path), HostCache.stamp(path)]
        }
        return [
            "environment": .string(request.environment["PYENV_VERSION"] ?? "not set"), "stamps": .array(stamps),
            "version": 1,
        ]
    }
}
