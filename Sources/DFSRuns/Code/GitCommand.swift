import DFSModel
import DFSSystem

/// Runs git's reading commands so that nothing is written and no hook, monitor or pager is started.
///
/// Clean filters (Git LFS) do run where git has to compare a file's content: without them it would answer wrongly.
struct GitCommand: Sendable {
    private let top: String
    private let environment: [String: String]
    private let milliseconds: Int

    /// For the work tree `top`, which has a `.git`. Git itself checks whose it is (safe.directory).
    init(top: String, _ options: CodeSurvey.Options) {
        self.top = top
        milliseconds = options.gitMilliseconds
        var environment = options.environment.filter { name, _ in
            !name.hasPrefix("GIT_") || name.hasPrefix("GIT_CONFIG") || name == "GIT_EXEC_PATH"
        }
        // No index refresh is written back; no object is fetched; the repository is this one, none above it.
        environment["GIT_OPTIONAL_LOCKS"] = "0"
        environment["GIT_NO_LAZY_FETCH"] = "1"
        environment["GIT_TERMINAL_PROMPT"] = "0"
        environment["GIT_CEILING_DIRECTORIES"] = Files.parent(top)
        environment["GIT_DISCOVERY_ACROSS_FILESYSTEM"] = "1"
        environment["LC_ALL"] = "C"
        self.environment = environment
    }

    /// stdout of `git arguments`; a failure carries git's first line of complaint.
    func run(_ arguments: [String], allowing codes: Set<Int32> = [0]) -> Result<[UInt8], GitFailure> {
        let command =
            [
                "git", "--no-pager", "-C", top, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
                "-c", "core.quotePath=false", "-c", "status.showUntrackedFiles=all",
            ] + arguments
        do {
            let outcome = try CapturedCommand.run(command, environment: environment, milliseconds: milliseconds)
            if case .exited(let code) = outcome.end, codes.contains(code) { return .success(outcome.output) }
            return .failure(GitFailure(text: "git \(arguments[0]): \(outcome.complaint)"))
        } catch {
            return .failure(GitFailure(text: "git cannot be run: \(error.cause ?? error.what)"))
        }
    }
}

struct GitFailure: Error { let text: String }
