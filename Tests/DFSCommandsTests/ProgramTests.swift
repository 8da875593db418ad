import DFSModel
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@testable import DFSCommands

/// The built programs as processes.
@Suite struct ProgramTests {
    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    @Test func answersAndExitCodes() throws {
        let doctor = try sandbox.spawn("doctor", "--json")
        #expect(doctor.code == 0 && doctor.error.isEmpty)
        #expect(try JSONValue.parse(doctor.output)["schema"] == "dfs.doctor/1")
        #expect(try sandbox.spawn("doctor", "--store", "/nowhere/at/all").code == 1)
        let wrong = try sandbox.spawn("docter")
        #expect(wrong.code == 64 && wrong.output.isEmpty)
        #expect(
            wrong.errorText == "error: there is no command dfs docter\ncause: did you mean doctor?\nhint: dfs doctor\n")
        #expect(try sandbox.spawn("--help").code == 0)
    }

    @Test func dfsRunIsTheRunCommand() throws {
        let result = try sandbox.spawn("--help", program: "dfs-run")
        #expect(result.code == 0 && result.outputText.contains("USAGE: dfs run"))
    }

    @Test func argumentsThatAreNotTextAreShownSafely() throws {
        let result = try sandbox.spawn([[0x61, 0xff, 0x1b, 0x0a]]).wait()
        #expect(result.code == 64)
        #expect(result.errorText == "error: there is no command dfs a\\xff\\x1b\\x0a\nhint: dfs --help\n")
    }

    @Test func aFullDiskIsReported() throws {
        let full = try OwnedDescriptor.open("/dev/full", O_WRONLY)
        let result = try sandbox.spawn([Array("doctor".utf8)], output: full.raw).wait()
        #expect(result.code == 2)
        #expect(
            result.errorText == "error: cannot write standard output\ncause: No space left on device\nhint: df -h\n")
    }

    @Test func aReaderThatLeftIsNoError() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let result = try sandbox.spawn([Array("doctor".utf8)], output: ends[1]).wait()
        #expect(result.code == 141 && result.error.isEmpty)
    }

    /// The program waits for its configuration, which is a fifo: opening the other end waits for the program.
    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
    func signalsEndItWithTheirCode(_ signal: Int32, _ code: Int32) throws {
        let fifo = sandbox.home + "/.config/dfs/config.toml"
        try Files.makeDirectories(Files.parent(fifo))
        try #require(mkfifo(fifo, 0o600) == 0)
        let program = try sandbox.spawn([Array("doctor".utf8)])
        let writer = try OwnedDescriptor.open(fifo, O_WRONLY)
        kill(program.process, signal)
        let result = try program.wait()
        #expect(result.code == code && result.output.isEmpty && result.error.isEmpty)
        withExtendedLifetime(writer) {}
    }

    @Test func hooksRunBeforeASignalEndsTheProcess() async {
        let result = await #expect(processExitsWith: .exitCode(130), observing: [\.standardErrorContent]) {
            signal(SIGINT, SIG_DFL)
            let hooks = CleanupHooks()
            Interruption.install(hooks)
            hooks.add { _ = write(2, "first\n", 6) }
            hooks.add { _ = write(2, "second\n", 7) }
            hooks.remove(hooks.add { _ = write(2, "never\n", 6) })
            kill(getpid(), SIGINT)
            while true { pause() }
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("second\nfirst\n") && !text.contains("never"))
    }

    @Test func aSecondSignalDoesNotWaitForHooks() async {
        await #expect(processExitsWith: .exitCode(130)) {
            signal(SIGINT, SIG_DFL)
            let hooks = CleanupHooks()
            Interruption.install(hooks)
            hooks.add {
                kill(getpid(), SIGINT)
                while true { pause() }
            }
            kill(getpid(), SIGINT)
            while true { pause() }
        }
    }

    @Test func signalsIgnoredFromTheStartStayIgnored() async {
        await #expect(processExitsWith: .exitCode(7)) {
            signal(SIGHUP, SIG_IGN)
            Interruption.install(CleanupHooks())
            kill(getpid(), SIGHUP)
            exit(7)
        }
    }
}

@Suite struct CleanupHooksTests {
    @Test func hooksRunOnceAndTheFirstArms() {
        let hooks = CleanupHooks()
        let counter = Counter()
        let armed = Counter()
        hooks.onFirst { armed.increment() }
        #expect(armed.current == 0)
        hooks.add { counter.increment() }
        hooks.add { counter.increment(by: 10) }
        #expect(armed.current == 1)
        hooks.run()
        hooks.run()
        #expect(counter.current == 11)
    }
}
