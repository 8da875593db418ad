import DFSSystem
import DFSTestSupport
import Glibc
import Testing

/// The harness, `tools/harness`, in the small form that takes a minute; its large form is for releases.
@Suite struct HarnessTests {
    private static let tool = Files.parent(Files.parent(Files.parent(#filePath))) + "/tools/harness"

    private let sandbox: Sandbox

    init() throws { sandbox = try Sandbox() }

    /// Power cuts need a file system of our own; what needs less runs for everybody.
    private static func lacking(_ scenario: String) -> String? {
        guard ["power", "defects", "errors"].contains(scenario) else { return nil }
        if geteuid() != 0 { return "needs root" }
        return Files.exists("/dev/loop-control") ? nil : "no loop devices"
    }

    /// Kills, power cuts, errors, alterations and races lose nothing and change no byte; and mistakes that are planted
    /// on purpose are seen.
    @Test(arguments: ["points", "kills", "power", "errors", "alterations", "races", "collection", "servers", "defects"])
    func nothingIsLost(_ scenario: String) throws {
        if let lacking = Self.lacking(scenario) {
            print("skipped: \(scenario): \(lacking)")
            return
        }
        let result = try SpawnedProgram(
            "/usr/bin/python3",
            [
                Self.tool, scenario, "--small", "--dfs", SpawnedProgram.products + "/dfs", "--scratch",
                sandbox.root + "/harness",
            ].map { Array($0.utf8) },
            variables: ["HOME": sandbox.home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"],
            in: sandbox.work, scratch: sandbox.root + "/scratch"
        ).wait()
        #expect(result.code == 0, "\(result.outputText)\(result.errorText)")
        #expect(result.outputText.contains("zero lost, zero wrong bytes"), "\(result.outputText)")
        print(result.outputText, terminator: "")
    }
}
