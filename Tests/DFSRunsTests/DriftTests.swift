import DFSModel
import DFSSystem
import Testing

@testable import DFSRuns

/// `HostComparison`: facts, classes, and what is not known.
@Suite struct DriftTests {
    private func compare(_ then: JSONValue, _ now: JSONValue) -> DriftReport {
        HostComparison.compare(then: then, now: now)
    }

    // MARK: Pairs of whole records

    /// Pairs of the files, with the class that was decided on by hand and a fact that must be among the reasons.
    @Test(arguments: [
        ("recorded-epyc-vm", "recorded-epyc-vm", DriftClass.identical, ""),
        ("recorded-emulated-haswell", "recorded-emulated-haswell-small", .sameNumerics, "stable.machine"),
        ("recorded-emulated-haswell", "recorded-emulated-nehalem", .crossNumerics, "stable.hardware.cpu.flags"),
        ("recorded-epyc-vm", "recorded-emulated-haswell", .crossNumerics, "stable.hardware.cpu.threads"),
        ("recorded-epyc-vm", "made-h100-ubuntu", .crossNumerics, "stable.gpu"),
        ("made-h100-ubuntu", "recorded-epyc-vm", .incompatible, "stable.gpu"),
        ("made-h100-device", "made-h200-device", .crossNumerics, "stable.gpu.devices.0.name"),
        ("made-h200-device", "made-h100-device", .incompatible, "stable.gpu.devices.0.memory_bytes"),
        ("made-h100-ubuntu", "made-h100-pcie", .crossNumerics, "stable.gpu.devices.0.name"),
        ("made-h100-device", "made-h100-ubuntu", .crossNumerics, "stable.libc"),
        ("made-a100-five", "made-h100-pcie", .incompatible, "stable.gpu.devices.4"),
        ("made-h100-pcie", "made-a100-five", .crossNumerics, "stable.gpu.devices.0.compute_capability"),
        ("made-v100", "made-h100-device", .crossNumerics, "stable.gpu.devices.0.compute_capability"),
        ("made-h100-device", "made-v100", .incompatible, "stable.gpu.cuda_driver"),
    ])
    func pairsHaveTheirClass(then: String, now: String, expected: DriftClass, fact: String) throws {
        let report = compare(try HostFixture.host(then), try HostFixture.host(now))
        #expect(report.driftClass == expected, "\(report.summary)")
        if !fact.isEmpty {
            let found = report.facts.first { $0.name == fact }
            #expect(found != nil, "\(report.facts.map(\.name))")
        }
        // Listed worst first, each with a reason.
        let classes = report.facts.map(\.driftClass)
        #expect(classes == classes.sorted(by: >))
        #expect(report.facts.allSatisfy { !$0.reason.isEmpty })
    }

    /// Of every file: whether it was recorded or made, and from what.
    @Test func everyRecordSaysWhereItComesFrom() throws {
        for name in try HostFixture.names() {
            let about = try #require(try HostFixture.file(name)["about"])
            let isMade = about["kind"] == "made"
            #expect(name.hasPrefix(isMade ? "made-" : "recorded-"))
            #expect(isMade ? about["source"]?.string != nil : about["kind"] == "recorded")
            #expect(about["note"]?.string?.isEmpty == false)
            #expect(try HostRecord(try HostFixture.host(name)).value["format"] == "dfs.host/1")
        }
    }

    /// This host, recorded now, is identical with itself, and every fact of it has a rule of its own.
    @Test func thisHostIsIdenticalWithItselfAndHasNoUnknownFact() throws {
        let scratch = try Scratch()
        let request = HostRequest(
            arguments: ["python3"], environment: scratch.environment, workingDirectory: scratch.path,
            home: scratch.path, cacheDirectory: nil, gpuHelper: [], hash: testHash)
        let first = HostFacts.capture(request).value, second = HostFacts.capture(request).value
        let report = compare(first, second)
        #expect(report.driftClass == .identical, "\(report.facts)")
        #expect(report.compared > 30)
        for host in [first, try HostFixture.host("recorded-epyc-vm"), try HostFixture.complete(gpus: 2)] {
            #expect(Self.factsWithoutRule(host) == [])
        }
    }

    /// Paths of leaves for which only the fallback holds.
    private static func factsWithoutRule(_ host: JSONValue) -> [String] {
        var found = [String]()
        func visit(_ path: [String], _ value: JSONValue) {
            let rule = DriftRules.rule(for: path)
            let isFact = value.object?.count == 1 && (value["none"] ?? value["unknown"]) != nil
            let goesOn = rule == nil || rule?.measure == .members || rule?.pattern.goesDown == true
            if let members = value.object, !isFact, goesOn {
                for (name, member) in members { visit(path + [name], member) }
            } else if case .array(let elements) = value, rule?.measure == .members {
                for (i, element) in elements.enumerated() { visit(path + [String(i)], element) }
            } else if rule == nil {
                found.append(path.joined(separator: "."))
            }
        }
        for part in ["stable", "job"] { visit([part], host[part] ?? .null) }
        return found
    }

    // MARK: One fact after the other

    /// A change of one fact: the rule that must hold for it, the class, and with how many GPUs.
    struct Change: Sendable, CustomTestStringConvertible {
        let rule: String
        let path: String
        /// `nil`: it is not there.
        let value: JSONValue?
        let expected: DriftClass
        var gpus = 1

        init(_ rule: String, _ path: String, _ value: JSONValue?, _ expected: DriftClass, gpus: Int = 1) {
            (self.rule, self.path, self.value, self.expected, self.gpus) = (rule, path, value, expected, gpus)
        }

        var testDescription: String { "\(path) = \(value?.canonicalText ?? "nothing")" }
    }

    @Test(arguments: DriftChanges.all)
    func oneChangeHasItsClass(change: Change) throws {
        let then = try HostFixture.complete(gpus: change.gpus)
        let path = change.path.split(separator: "/").map(String.init)
        let now = then.replacing(path, with: change.value)
        try #require(then != now)
        let rule = try #require(
            DriftRules.rule(for: path), "no rule for \(change.path)")
        let report = compare(then, now)
        #expect(report.driftClass == change.expected, "\(report.facts)")
        if change.expected != .identical {
            let fact = try #require(report.facts.first)
            #expect(fact.reason == rule.reason || report.facts.count > 1)
        }
        #expect(rule.pattern.text == change.rule)
    }

    @Test func everyRuleIsTried() {
        let tried = Set(DriftChanges.all.map(\.rule))
        #expect(DriftRules.all.map(\.pattern.text).filter { !tried.contains($0) } == [])
    }

    /// A rule behind another one that takes all its facts would never hold.
    @Test func noTwoRulesHaveOnePattern() {
        let patterns = DriftRules.all.map(\.pattern.text)
        #expect(Set(patterns).count == patterns.count)
    }

    // MARK: Not known

    @Test func whatIsNotKnownIsNeverIdentical() throws {
        let known = try HostFixture.complete()
        for (path, expected) in [
            ("stable/libc", DriftClass.crossNumerics), ("stable/hardware/cpu/microcode", .sameNumerics),
            ("stable/kernel/architecture", .crossNumerics), ("stable/gpu", .crossNumerics), ("stable", .crossNumerics),
            ("job/switches", .crossNumerics), ("stable/python/distributions", .crossNumerics),
        ] {
            let path = path.split(separator: "/").map(String.init)
            let unknown = known.replacing(path, with: ["unknown": "for a reason"])
            for (then, now) in [(known, unknown), (unknown, known)] {
                let report = compare(then, now)
                #expect(report.driftClass == expected, "\(path)")
                let fact = try #require(report.facts.first { $0.name == path.joined(separator: ".") })
                #expect(fact.state == .notComparable)
            }
        }
    }

    /// The same ignorance on both sides: on one machine it says nothing and is listed; on two it counts.
    @Test func theSameIgnoranceCountsBetweenMachines() throws {
        let unknown: JSONValue = ["unknown": "not told"]
        let path = ["stable", "hardware", "cpu", "flags"]
        let host = try HostFixture.complete().replacing(path, with: unknown)
        let same = compare(host, host)
        #expect(same.driftClass == .identical)
        #expect(same.facts.map(\.name) == ["stable.hardware.cpu.flags"])
        #expect(same.facts.first?.state == .notComparable)
        let other = host.replacing(["stable", "machine"], with: "sha256:99")
        #expect(compare(host, other).driftClass == .crossNumerics)
        // GPUs that did not answer in time are another matter, on one machine too.
        let silent = host.replacing(["stable", "gpu"], with: ["unknown": "timed out after 5 s"])
        #expect(compare(silent, silent).driftClass == .crossNumerics)
        // What a record does not have at all was not recorded.
        let old = try HostFixture.complete().replacing(["stable", "libc"], with: nil)
        let fact = try #require(compare(old, try HostFixture.complete()).facts.first)
        #expect(fact.then == ["unknown": "not recorded"] && fact.state == .notComparable)
    }

    @Test func nothingOnBothSidesIsTheSame() throws {
        let host = try HostFixture.complete()
        let none = host.replacing(["stable", "gpu"], with: ["none": "looked here"])
        let other = host.replacing(["stable", "gpu"], with: ["none": "looked there"])
        #expect(compare(none, other).driftClass == .identical)
        // A map of which one side has nothing is told member by member.
        let bare = host.replacing(["job", "switches"], with: ["none": "none is set"])
        #expect(
            Set(compare(host, bare).facts.map(\.name))
                == Set((host["job"]?["switches"]?.object ?? [:]).keys.map { "job.switches." + $0 }))
    }

    /// Cards that have no MIG, ECC or NVLink say so in NVML's words; two of them differ in nothing by that.
    @Test func whatACardDoesNotHaveIsKnown() throws {
        var host = try HostFixture.complete()
        for name in ["mig", "ecc", "nvlink", "serial"] {
            host = host.replacing(["stable", "gpu", "devices", "0", name], with: ["unknown": "Not Supported"])
        }
        let other = host.replacing(["stable", "machine"], with: "sha256:99")
        #expect(compare(host, other).driftClass == .sameNumerics)
        #expect(compare(host, other).facts.map(\.name) == ["stable.machine"])
        let linked = host.replacing(["stable", "gpu", "devices", "0", "nvlink"], with: ["active": [true]])
        #expect(compare(host, linked).driftClass == .sameNumerics)
        let divided = host.replacing(
            ["stable", "gpu", "devices", "0", "mig"],
            with: ["current": true, "pending": true, "instances": ["none": "x"]])
        #expect(compare(host, divided).driftClass == .crossNumerics)
    }

    @Test func listsTellWhatOnlyOneSideHas() throws {
        let host = try HostFixture.complete()
        let path = ["stable", "hardware", "cpu", "flags"]
        let fact = try #require(
            compare(host, host.replacing(path, with: ["fma", "avx2", "avx", "amx_tile"])).facts.first)
        #expect(fact.then == ["avx512f"] && fact.now == ["amx_tile"])
        let wider = compare(host, host.replacing(path, with: ["avx", "avx2", "avx512f", "fma", "amx_tile"]))
        #expect(wider.facts.first?.then == ["none": "nothing that is not there now"])
    }

    /// What goes into a plan's record is bounded, and counts all.
    @Test func aReportIsBounded() throws {
        let host = try HostFixture.complete()
        var packages = [String: JSONValue]()
        for i in 0..<500 { packages["p\(i):amd64"] = "1" }
        let now = host.replacing(["stable", "packages", "installed"], with: .object(packages))
        let report = compare(host, now)
        let json = report.json(limit: 200)
        #expect(json["facts"]?.array?.count == 200)
        #expect(json["count"] == 502 && json["class"] == "cross-numerics")
        #expect(json["counts"] == ["cross-numerics": 1, "same-numerics": 501])
    }
}
