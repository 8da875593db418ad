import CLinux
import DFSLaunch
import DFSModel
import DFSSystem
import Glibc
import Testing

extension ProcessTests {
    @Suite struct LogTests {
        @Test(arguments: User.available)
        func tenMegabytesOfBinaryOutput(user: User) throws {
            let s = try Sandbox(user)
            try s.write("before\n", to: "/logs/stdout")
            let copy = try OwnedDescriptor.open(s.base + "/copy", O_RDWR | O_CREAT)
            let plan = s.plan(
                """
                head -c 10000000 /dev/urandom > \(s.outputs)/bytes
                cat \(s.outputs)/bytes; echo oops >&2; printf end
                """)
            let errors = try OwnedDescriptor.open(s.base + "/errors", O_RDWR | O_CREAT)
            let follower = LogFollower([
                .init(path: RawPath(s.base + "/logs/stdout"), output: copy.raw),
                .init(path: RawPath(s.base + "/logs/stderr"), output: errors.raw),
            ])
            #expect(try s.run(plan).result?.exitStatus == 0)
            follower.finish()
            let made = try #require(try Files.read(s.outputs + "/bytes"))
            let expected = Array("before\n".utf8) + made + Array("end".utf8)
            #expect(made.count == 10_000_000)
            #expect(try Files.read(s.base + "/logs/stdout") == expected, "appended to what was there")
            #expect(try Files.read(s.base + "/copy") == expected)
            #expect(try s.read("/errors") == "oops\n")
        }

        @Test(arguments: User.available)
        func bothStreamsInOneFile(user: User) throws {
            let s = try Sandbox(user)
            var plan = s.plan("for i in 1 2 3; do echo out; echo err >&2; done")
            plan.standardError = plan.standardOutput
            #expect(try s.output(plan) == "out\nerr\nout\nerr\nout\nerr\n")
        }

        @Test func aReaderThatWentAwayDoesNotMatter() throws {
            let s = try Sandbox(User.available[0])
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            close(ends[0])
            defer { close(ends[1]) }
            let follower = LogFollower([.init(path: RawPath(s.base + "/logs/stdout"), output: ends[1])])
            let outcome = try s.run(s.plan("i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); sleep 0.005; done"))
            follower.finish()
            #expect(outcome.result?.exitStatus == 0)
            #expect(try s.read("/logs/stdout")?.hasSuffix("line 49\n") == true)
        }

        @Test func aFullPipeDelaysOnlyTheCopy() throws {
            let s = try Sandbox(User.available[0])
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            defer { for end in ends { close(end) } }
            _ = clinux_fcntl(ends[1], F_SETFL, Int(O_NONBLOCK))
            let follower = LogFollower([.init(path: RawPath(s.base + "/logs/stdout"), output: ends[1])])
            // Nobody reads, and the job ends all the same.
            #expect(try s.run(s.plan("head -c 1000000 /dev/zero")).result?.exitStatus == 0)
            var total = 0
            var buffer = [UInt8](repeating: 1, count: 1 << 16)
            while total < 1_000_000 {
                let count = read(ends[0], &buffer, buffer.count)
                guard count > 0 else { break }
                total += count
            }
            follower.finish()
            #expect(total == 1_000_000)
        }

        @Test func logsAreFollowedWhileTheyGrow() throws {
            let s = try Sandbox(User.available[0])
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            defer { for end in ends { close(end) } }
            let follower = LogFollower([.init(path: RawPath(s.base + "/logs/stdout"), output: ends[1])])
            var seen = [UInt8](repeating: 0, count: 6)
            // The job goes on only when its first line has come through.
            let plan = s.plan("echo first; while [ ! -e \(s.outputs)/go ]; do sleep 0.01; done; echo second")
            let outcome = try s.supervisor().run(plan) { _, _ in
                #expect(read(ends[0], &seen, 6) == 6)
                try? s.write("", to: "/outputs/go")
            }
            follower.finish()
            #expect(outcome.result?.exitStatus == 0)
            #expect(String(decoding: seen, as: UTF8.self) == "first\n")
        }
    }
}
