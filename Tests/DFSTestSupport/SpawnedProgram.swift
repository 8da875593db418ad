import DFSModel
import DFSSystem
import Glibc

/// A program of this build as a process of its own: the real thing, with real descriptors.
package struct SpawnedProgram {
    package struct Result {
        /// The exit code, or 128 + N for a signal.
        package let code: Int32
        package let output: [UInt8]
        package let error: [UInt8]

        package var outputText: String { String(decoding: output, as: UTF8.self) }
        package var errorText: String { String(decoding: error, as: UTF8.self) }
    }

    /// The directory of the build products: that of the test bundle.
    package static var products: String {
        Files.parent(Files.linkTarget("/proc/self/exe") ?? "/")
    }

    package let process: pid_t
    private let scratch: String

    /// Starts `name`, a program of this build or an absolute path, with an environment of `variables` alone, in
    /// `directory`. `input` and `output` stand in for standard input, which is empty otherwise, and standard output;
    /// what it says otherwise goes to files, so that no pipe can fill. `prefix` is a command that executes the rest.
    package init(
        _ name: String, _ arguments: [[UInt8]], variables: [String: String], in directory: String,
        input: Int32? = nil, output: Int32? = nil, prefix: [String] = [], scratch: String
    ) throws {
        self.scratch = scratch
        let settings = variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let program = name.hasPrefix("/") ? name : Self.products + "/" + name
        let words = prefix + ["/usr/bin/env", "-i", "-C", directory] + settings + [program]
        let files = try ["stdout", "stderr"].map {
            try OwnedDescriptor.open(scratch + "/" + $0, O_WRONLY | O_CREAT | O_TRUNC)
        }
        let nothing = try OwnedDescriptor.open("/dev/null", O_RDONLY)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in [(0, input ?? nothing.raw), (1, output ?? files[0].raw), (2, files[1].raw)]
            as [(Int32, Int32)]
        {
            posix_spawn_file_actions_adddup2(&actions, source, target)
        }
        // Inherited are what the caller of the tests ignores (SIGINT, in the background) and the mask of this
        // thread, which libdispatch has block nearly everything.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var raw: [UnsafeMutablePointer<CChar>?] = (words.map { Array($0.utf8) } + arguments).map { word in
            withCName(word) { strdup($0) }
        }
        raw.append(nil)
        defer { for pointer in raw { free(pointer) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, words[0], &actions, &attributes, raw, nil)
        guard status == 0 else { throw System.error(status, "cannot start \(name)") }
        self.process = process
    }

    /// Waits for the end.
    package func wait() throws -> Result {
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1, errno == EINTR {}
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        return Result(
            code: code, output: try Files.read(scratch + "/stdout") ?? [],
            error: try Files.read(scratch + "/stderr") ?? [])
    }
}
