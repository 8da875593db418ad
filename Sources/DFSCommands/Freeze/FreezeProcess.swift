import CLinux
import DFSHistory
import DFSLedger
import DFSModel
import DFSRuns
import DFSSystem
import Glibc

/// `dfs __freeze`: records a run's environment at the lowest priority, while nobody waits.
enum FreezeProcess {
    /// A job is given this time to load what it needs, and to end: the interpreter's files are read while it works.
    private static let patience: UInt64 = 30_000_000_000

    static func run(arguments: [String]) -> Int32 {
        guard let input = arguments.first.flatMap({ Int32($0) }) else { return ExitCode.usage.rawValue }
        _ = chdir("/")
        _ = nice(19)
        _ = clinux_idle_io()
        let (request, mapped) = listen(to: input)
        guard let request else { return ExitCode.usage.rawValue }
        do throws(DFSError) {
            try freeze(request, mapped: mapped)
            return 0
        } catch {
            return ExitCode(error.code).rawValue
        }
    }

    /// Closes the input when it returns: what the launcher writes later is refused and does not fill the pipe.
    private static func listen(to input: Int32) -> (FreezeRequest?, mapped: [String]) {
        var reader = FreezeInput(descriptor: OwnedDescriptor(adopting: input))
        reader.readToEnd(within: patience)
        return (reader.request, reader.mapped)
    }

    private static func freeze(_ request: FreezeRequest, mapped: [String]) throws(DFSError) {
        let repository = try Repository.open(at: request.store, cacheRoot: request.cacheRoot)
        let directories = Directories(ProcessEnvironment.current())
        let signer = try KeyFile.load(
            orCreateAt: try directories.keyFile(), agentSocket: ProcessEnvironment.current()["SSH_AUTH_SOCK"])
        let parts = EnvironmentParts.find(python: request.python, home: request.home, mapped: mapped)
        guard !parts.isEmpty || !mapped.isEmpty else { return }
        var freeze = Freeze(repository: repository, run: request.run, limit: request.limit)
        freeze.threads = max(1, min(4, Workers.processorCount / 4))
        (freeze.bounds, freeze.began, freeze.lent) = (request.bounds, request.began, request.lent)
        do throws(DFSError) { _ = try freeze.run(parts: parts, mapped: mapped, by: signer) } catch {
            // That it failed is part of the record too.
            let annotation = Annotation(
                repository: repository, run: request.run, name: RunAnnotation.environment)
            try annotation.append(
                [
                    "complete": false, "parts": [], "limit_bytes": .integer(Int64(clamping: request.limit)),
                    "failure": .string(error.cause.map { "\(error.what): \($0)" } ?? error.what),
                ], by: signer)
            throw error
        }
    }
}

/// The launcher's lines.
private struct FreezeInput {
    let descriptor: OwnedDescriptor
    private(set) var request: FreezeRequest?
    /// In the order in which they were seen.
    private(set) var mapped = [String]()
    private var pending = [UInt8]()
    private var seen = Set<String>()

    init(descriptor: OwnedDescriptor) { self.descriptor = descriptor }

    /// Until the launcher has closed its end, or for so many nanoseconds.
    mutating func readToEnd(within time: UInt64) {
        let deadline = Clock.monotonic() + time
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let now = Clock.monotonic()
            guard now < deadline else { break }
            var set = [pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)]
            guard poll(&set, 1, Int32((deadline - now) / 1_000_000 + 1)) > 0 else { continue }
            let count = read(descriptor.raw, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            pending += buffer[..<count]
            takeLines()
        }
    }

    private mutating func takeLines() {
        while let end = pending.firstIndex(of: 0x0a) {
            let line = Array(pending[..<end])
            pending.removeFirst(end + 1)
            guard let json = try? JSONValue.parse(line) else { continue }
            if let path = json.string {
                if seen.insert(path).inserted { mapped.append(path) }
            } else if request == nil {
                request = FreezeRequest(json)
            }
        }
    }
}
