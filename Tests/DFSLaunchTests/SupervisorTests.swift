import CLinux
import DFSLaunch
import DFSModel
import DFSSystem
import Dispatch
import Glibc
import Testing

extension ProcessTests {
    @Suite struct SupervisorTests {
        /// A job that counts signals until it has what it waits for; it says when its traps are set.
        private func counting(_ s: Sandbox, until last: String) -> EnterPlan {
            s.plan(
                """
                for n in INT TERM HUP QUIT USR1 USR2; do trap "echo $n" $n; done
                trap 'echo \(last); exit 9' \(last)
                echo ready
                while :; do sleep 0.02; done
                """)
        }

        private static func waitForOutput(_ s: Sandbox, _ text: String) {
            for _ in 0..<2000 where (try? s.read("/logs/stdout"))??.contains(text) != true { usleep(5000) }
        }

        @Test(arguments: User.available)
        func signalsAreForwardedOnce(user: User) throws {
            let s = try Sandbox(user)
            let all = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]
            let outcome = try s.supervisor().run(counting(s, until: "USR2")) { _, _ in
                Self.waitForOutput(s, "ready")
                // The callback runs on the supervising thread: what it sends is forwarded when it has returned.
                for signal in all { kill(getpid(), signal) }
            }
            #expect(outcome.result?.ending == .exited(9))
            #expect(outcome.result?.forwarded.sorted() == all.sorted())
            let lines = (try s.read("/logs/stdout") ?? "").split(separator: "\n").sorted()
            #expect(Set(lines).isSubset(of: ["ready", "INT", "TERM", "HUP", "QUIT", "USR1", "USR2"]))
            #expect(Set(lines).count == lines.count, "each at most once")
        }

        /// A descriptor's SIGIO stands for the terminal: both come from the kernel.
        @Test func whatTheKernelSendsIsNotForwarded() throws {
            let s = try Sandbox(User.available[0])
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            defer { for end in ends { close(end) } }
            _ = clinux_fcntl(ends[0], F_SETOWN, Int(getpid()))
            // F_SETSIG
            _ = clinux_fcntl(ends[0], 10, Int(SIGUSR1))
            _ = clinux_fcntl(ends[0], F_SETFL, Int(O_NONBLOCK | O_ASYNC))
            let outcome = try s.supervisor().run(counting(s, until: "USR2")) { _, _ in
                Self.waitForOutput(s, "ready")
                #expect(write(ends[1], "x", 1) == 1)
                kill(getpid(), SIGUSR2)
            }
            #expect(outcome.result?.forwarded == [SIGUSR2])
            #expect(try s.read("/logs/stdout") == "ready\nUSR2\n")
        }

        @Test(arguments: User.available)
        func theThirdInterruptionKills(user: User) throws {
            let s = try Sandbox(user)
            let plan = s.plan("trap 'echo TERM' TERM; sleep 1000 & echo ready; while :; do sleep 0.02; done")
            let outcome = try s.supervisor().run(plan) { _, _ in
                DispatchQueue.global().async {
                    // One after the other has arrived: equal signals that are pending become one.
                    for seen in ["ready\n", "TERM\n", "TERM\nTERM\n"] {
                        Self.waitForOutput(s, seen)
                        kill(getpid(), SIGTERM)
                    }
                }
            }
            let result = try #require(outcome.result)
            #expect(result.ending == .signalled(SIGKILL))
            #expect(result.wasKilled)
            #expect(result.forwarded == [SIGTERM, SIGTERM])
            #expect(!result.orphans.isEmpty, "the first sleep")
            for orphan in result.orphans { #expect(try isGone(orphan.pid)) }
        }

        /// What shares the run is waited for when the command has ended, and signals are looked at meanwhile.
        @Test(arguments: User.available)
        func othersAreWaitedFor(user: User) throws {
            let s = try Sandbox(user)
            var asked = 0
            let patient = try s.supervisor().run(
                s.plan("exit 0"), onReady: { _ in },
                isOver: { isInterrupted in
                    asked += 1
                    #expect(!isInterrupted)
                    return asked == 5
                })
            #expect(asked == 5 && patient.result?.exitStatus == 0)
            #expect(patient.result?.late == [])
            // The third interruption ends what would never end.
            var seen = [Bool]()
            let killed = try s.supervisor().run(
                s.plan("exit 0"), onReady: { _ in },
                isOver: { isInterrupted in
                    seen.append(isInterrupted)
                    kill(getpid(), SIGTERM)
                    return false
                })
            #expect(seen.first == false && seen.dropFirst().allSatisfy { $0 } && seen.count >= 3, "\(seen)")
            #expect(killed.result?.late == [SIGTERM, SIGTERM, SIGTERM])
            #expect(killed.result?.wasKilled == true && killed.result?.forwarded == [])
            #expect(killed.result?.ending == .exited(0))
        }

        /// What never began has no others.
        @Test(arguments: User.available)
        func nobodyIsWaitedForWithoutACommand(user: User) throws {
            let s = try Sandbox(user)
            var plans = [s.plan("true"), s.plan("true", steps: [.bind(source: "/no/such", at: "/tmp", .readOnly)])]
            plans[0].arguments = [Array("no-such-command".utf8)]
            for plan in plans {
                let outcome = try s.supervisor().run(
                    plan, onReady: { _ in },
                    isOver: { _ in
                        Issue.record("nothing began")
                        return true
                    })
                #expect(outcome.failure != nil)
            }
        }

        /// A log may be made before by somebody else, as a link to a file of the user's.
        @Test func logsAreNotOpenedThroughLinks() throws {
            let s = try Sandbox(User.available[0])
            try s.write("mine\n", to: "/diary")
            try #require(symlink(s.base + "/diary", s.base + "/logs/stdout") == 0)
            let outcome = try s.run(s.plan("echo written"))
            #expect(outcome.failure?.stage == .log)
            #expect(try s.read("/diary") == "mine\n")
        }

        private func isGone(_ pid: Int32) throws -> Bool {
            for _ in 0..<2000 {
                guard let stat = try Files.read("/proc/\(pid)/stat") else { return true }
                let text = String(decoding: stat, as: UTF8.self)
                if text.contains(") Z ") { return true }
                usleep(5000)
            }
            return false
        }

        @Test(arguments: User.available)
        func orphansAreEnded(user: User) throws {
            let s = try Sandbox(user)
            let plan = s.plan("(setsid sleep 1000 &) ; (setsid sleep 1000 &) ; exit 3")
            var namespace = ""
            let outcome = try s.supervisor().run(plan) { _, name in namespace = name }
            #expect(outcome.result?.exitStatus == 3)
            #expect(outcome.result?.orphans.count == 2)
            #expect(try JobProcesses.living(in: namespace).isEmpty)
        }

        /// They are asked first, and found without a namespace as well.
        @Test(arguments: [EnterPlan.Namespace.none, User.available[0].namespace])
        func orphansAreAsked(namespace: EnterPlan.Namespace) throws {
            let s = try Sandbox(User.available[0])
            var plan = s.plan(
                """
                (setsid sh -c 'trap "echo asked; exit" TERM; echo ready; while :; do sleep 0.02; done' &)
                (setsid sh -c 'trap "" TERM; echo ready; while :; do sleep 0.02; done' &)
                while [ $(wc -l < \(s.base)/logs/stdout) -lt 2 ]; do sleep 0.02; done
                """)
            plan.namespace = namespace
            var supervisor = s.supervisor()
            supervisor.orphanGrace = 1
            let result = try #require(try supervisor.run(plan).result)
            #expect(result.ending == .exited(0) && result.orphans.count >= 2)
            #expect(try s.read("/logs/stdout") == "ready\nready\nasked\n")
            for orphan in result.orphans { #expect(try isGone(orphan.pid)) }
        }

        @Test(arguments: User.available)
        func resultsHoldTimesAndResources(user: User) throws {
            let s = try Sandbox(user)
            let plan = s.plan("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
            let before = Clock.now()
            var started = [Int32]()
            let outcome = try s.supervisor().run(plan) { pid, _ in started.append(pid) }
            let result = try #require(outcome.result)
            #expect(started.count == 1)
            #expect(before <= result.started && result.started <= result.ended && result.ended <= Clock.now())
            #expect(result.userMicroseconds > 10_000)
            #expect(result.maximumResidentBytes > 1 << 20)
            #expect(result.orphans == [])
            #expect(result.json["exitCode"] == 0)
            #expect(result.json["signal"] == nil)
        }

        /// The launcher is a shell here, which starts the entering process as the supervisor does.
        @Test(arguments: User.available)
        func theJobDiesWithTheLauncher(user: User) throws {
            let s = try Sandbox(user)
            var plan = s.plan("echo $$; exec sleep 1000", steps: [.skeleton(at: "/dfs-test-deepops")])
            let file = s.base + "/plan.json"
            let supervisor = s.supervisor()
            let command = supervisor.arguments.dropFirst().joined(separator: " ")
            let launcher = try spawn([
                "sh", "-c", "while [ ! -e \(file) ]; do sleep 0.02; done; \(command) \(file) & wait",
            ])
            plan.parent = launcher
            try s.write(plan.json.canonicalText, to: "/plan.tmp")
            #expect(rename(s.base + "/plan.tmp", file) == 0)
            Self.waitForOutput(s, "\n")
            let job = try #require(Int32((try s.read("/logs/stdout") ?? "").prefix { $0 != "\n" }))
            #expect(kill(job, 0) == 0)
            kill(launcher, SIGKILL)
            waitpid(launcher, nil, 0)
            #expect(try isGone(job))
            try s.expectNoMountsLeft()
        }

        @Test func aLauncherThatIsGoneAlreadyStartsNothing() throws {
            let s = try Sandbox(User.available[0])
            var plan = s.plan("touch \(s.outputs)/ran")
            plan.parent = 1
            try s.write(plan.json.canonicalText, to: "/plan.json")
            let words = s.supervisor().arguments + [s.base + "/plan.json"]
            let pid = try spawn(words)
            var status: Int32 = 0
            #expect(waitpid(pid, &status, 0) == pid)
            #expect(clinux_wexitstatus(status) == 125)
            #expect(!Files.exists(s.outputs + "/ran"))
        }

        private func spawn(_ words: [String]) throws -> Int32 {
            let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
            defer { for word in argv { free(word) } }
            var pid: pid_t = 0
            #expect(posix_spawnp(&pid, words[0], nil, nil, argv, clinux_environment()) == 0)
            return pid
        }
    }
}
