import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Synchronization
import Testing

extension ProcessTests {
    @Suite struct OpenWatchTests {
        /// Whether the kernel tells this process of opens.
        private static let canWatch: Bool = {
            do throws(DFSError) {
                _ = try OpenWatch()
                return true
            } catch {
                print("skipped: \(error.what): \(error.cause ?? "")")
                return false
            }
        }()

        private final class Names: OpenWatch.Receiver {
            let names = Mutex<[String: Int]>([:])
            func opened(_ path: UnsafeRawBufferPointer, at time: Timestamp) {
                let name = String(decoding: path, as: UTF8.self)
                names.withLock { $0[name, default: 0] += 1 }
            }
            func paused() {}
            var all: [String: Int] { names.withLock { $0 } }
        }

        private static let view: RawPath = "/dfs-test-watched"

        private func watchedRun(
            _ sandbox: Sandbox, _ script: String, during: @escaping () -> Void = {}
        ) throws -> (names: [String: Int], ending: OpenWatch.Ending, real: String) {
            let watch = try OpenWatch(), names = Names()
            let at = Self.view.appending("data")
            var plan = sandbox.plan(
                script, steps: [.skeleton(at: Self.view), .bind(source: RawPath(sandbox.data), at: at, .readOnly)])
            plan.waits = true
            var real = ""
            var namespace: OwnedDescriptor?
            var problem: (any Error)?
            let outcome = try sandbox.supervisor().run(
                plan,
                onReady: { pid in
                    do {
                        real = String(decoding: try watch.add(mountAt: at, of: pid), as: UTF8.self)
                        namespace = try OwnedDescriptor.open("/proc/\(pid)/ns/mnt", O_RDONLY)
                        try watch.start(names)
                    } catch { problem = error }
                }, onStart: { _, _ in during() })
            if let problem { throw problem }
            let errors = try sandbox.read("/logs/stderr") ?? ""
            #expect(outcome.result?.exitStatus == 0, "\(outcome) \(errors)")
            let ending = watch.finish()
            withExtendedLifetime(namespace) {}
            return (names.all, ending, real)
        }

        @Test(.enabled(if: canWatch)) func whatTheJobOpensAndNobodyElse() throws {
            let sandbox = try Sandbox(.root)
            for name in ["b", "c", "d e"] { try sandbox.write(name, to: "/data/\(name)") }
            try sandbox.write("#!/bin/sh\ncat \(Self.view)/data/c\n", to: "/data/tool", mode: 0o755)
            let script = """
                cd \(Self.view)/data; ls -l > /dev/null; cat a.txt a.txt 'd e'; (cat a.txt &); ./tool; wait
                cat \(sandbox.data)/b
                """
            let (names, ending, real) = try watchedRun(sandbox, script) {
                // The same file, by another way and outside.
                _ = try? Files.read(sandbox.data + "/b")
            }
            #expect(real == "\(Self.view)/data")
            #expect(Set(names.keys) == Set(["a.txt", "c", "d e", "tool"].map { "\(Self.view)/data/\($0)" }))
            #expect(ending.isComplete && ending.reason == nil)
            try sandbox.expectNoMountsLeft()
        }

        /// Many threads, each file once and again: none is lost, and what is known is not told for ever.
        @Test(.enabled(if: canWatch)) func twentyThousandFiles() throws {
            let sandbox = try Sandbox(.root)
            for i in 0..<20_000 { _ = try OwnedDescriptor.open("\(sandbox.data)/f\(i)", O_WRONLY | O_CREAT) }
            let script = """
                exec python3 -c '
                import os, threading
                names = sorted(os.listdir("\(Self.view)/data"))
                def read(part):
                    for _ in range(3):
                        for name in names[part::4]: os.close(os.open("\(Self.view)/data/" + name, os.O_RDONLY))
                threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
                [t.start() for t in threads]; [t.join() for t in threads]'
                """
            let (names, ending, _) = try watchedRun(sandbox, script)
            #expect(names.count == 20_001 && ending.isComplete, "\(names.count) \(ending)")
        }

        @Test(arguments: User.available) func theGateOpensOnlyWhenTheLauncherSaysSo(user: User) throws {
            let sandbox = try Sandbox(user)
            var plan = sandbox.plan("echo ran > \(sandbox.outputs)/ran")
            plan.waits = true
            var before: Bool?, started = false
            let outcome = try sandbox.supervisor().run(
                plan,
                onReady: { _ in
                    usleep(100_000)
                    before = Files.exists(sandbox.outputs + "/ran")
                }, onStart: { _, _ in started = true })
            #expect(outcome.result?.exitStatus == 0 && before == false && started)
            #expect(Files.exists(sandbox.outputs + "/ran"))
        }

        @Test func aViewThatCannotBeBuiltOpensNoGate() throws {
            let sandbox = try Sandbox(User.available[0])
            var plan = sandbox.plan("true", steps: [.bind(source: "/dfs-absent", at: "/mnt", .readOnly)])
            plan.waits = true
            var isReady = false
            let outcome = try sandbox.supervisor().run(plan, onReady: { _ in isReady = true })
            #expect(outcome.failure?.stage == .mount && !isReady)
        }

        @Test func withoutTheLauncherNothingRuns() throws {
            let sandbox = try Sandbox(User.available[0])
            var plan = sandbox.plan("echo ran > \(sandbox.outputs)/ran")
            let ends = try #require(Gate())
            plan.gate = ends.reading.raw
            let file = sandbox.base + "/plan.json"
            try sandbox.write(plan.json.canonicalText, to: "/plan.json")
            ends.close()
            var pid: pid_t = 0
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, ends.reading.raw, ends.reading.raw)
            let words: [UnsafeMutablePointer<CChar>?] =
                (["dfs", "__enter", file] as [String]).map { strdup($0) } + [nil]
            defer { for word in words { free(word) } }
            try #require(posix_spawn(&pid, Program.path, &actions, nil, words, nil) == 0)
            var status: Int32 = 0
            try #require(waitpid(pid, &status, 0) == pid)
            #expect(status >> 8 == 125)
            #expect(!Files.exists(sandbox.outputs + "/ran"))
        }
    }
}

/// A pipe whose writing end can be closed.
private final class Gate {
    let reading: OwnedDescriptor
    private var writing: OwnedDescriptor?

    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        reading = OwnedDescriptor(adopting: ends[0])
        writing = OwnedDescriptor(adopting: ends[1])
    }

    func close() { writing = nil }
}
