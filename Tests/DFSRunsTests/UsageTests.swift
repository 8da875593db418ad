import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSRuns

@Suite struct UsageTests {
    @Test func linesStretchSoThatAMonthIsBounded() {
        var series = UsageSeries()
        var (time, samples, lines) = (Int64(0), 0, 0)
        while time < 31 * 86_400_000 {
            time += UsageSeries.pause(at: time)
            samples += 1
            if series.add(at: time, [ProcessUsage]()) != nil { lines += 1 }
        }
        #expect(lines > 1000 && lines < 6000)
        #expect(samples < 300_000)
        #expect(UsageSeries.pause(at: 0) == 200 && UsageSeries.pause(at: 5000) == 1000)
        #expect(UsageSeries.pause(at: 5_000_000) == 10_000)
    }

    @Test func aLineHasTotalsAndPeaks() {
        var series = UsageSeries()
        _ = series.add(at: 200, [ProcessUsage(cpuMilliseconds: 50, residentBytes: 10, threads: 1)])
        let heavy = ProcessUsage(cpuMilliseconds: 900, residentBytes: 4096, threads: 7, readBytes: 5)
        let early = series.add(at: 1000, [heavy, ProcessUsage(residentBytes: 4)])
        #expect(early == nil)
        // A process that has gone takes nothing from the totals.
        let light = ProcessUsage(cpuMilliseconds: 20, residentBytes: 8, threads: 2)
        let line = series.add(at: 2000, [light])
        #expect(
            line == [
                "at_milliseconds": 2000, "cpu_milliseconds": 900, "processes": 2, "read_bytes": 5,
                "read_call_bytes": 0, "resident_bytes": 4100, "threads": 7, "write_call_bytes": 0, "written_bytes": 0,
            ])
        let next = series.add(at: 3000, [ProcessUsage](), isLast: true)
        #expect(next?["cpu_milliseconds"] == 900 && next?["resident_bytes"] == 0)
    }

    @Test func readsThisProcess() throws {
        let usage = try #require(ProcessUsage.read(pid: getpid()))
        #expect(usage.residentBytes > 1 << 20)
        #expect(usage.threads >= 1)
        #expect(usage.readCallBytes > 0)
        #expect(ProcessUsage.read(pid: 0x7fff_fff0) == nil)
    }

    @Test func aNameMayHoldParentheses() throws {
        let fields = (4...52).map { String($0) }.joined(separator: " ")
        let usage = try #require(ProcessUsage.parse(stat: Array("7 (a) b (c)) S \(fields)\n".utf8)))
        #expect(usage.threads == 20)
        #expect(usage.residentBytes == 24 * Int64(sysconf(Int32(_SC_PAGESIZE))))
        #expect(usage.cpuMilliseconds == Int64(14 + 15 + 16 + 17) * 1000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
    }

    // MARK: GPUs

    private func devices(_ names: String..., instances: [[String]] = []) -> [JSONValue] {
        names.enumerated().map { i, name in
            [
                "name": .string(name), "uuid": .string("GPU-\(i)\(i)\(i)\(i)"),
                "mig": [
                    "instances": .array(
                        (instances.indices.contains(i) ? instances[i] : []).map { ["uuid": .string($0)] })
                ],
            ]
        }
    }

    private func visible(_ devices: [JSONValue], _ environment: [String: String]) -> [Int] {
        VisibleGPUs(devices: devices, environment: environment).chosen.keys.sorted()
    }

    @Test func variablesChooseGPUs() {
        let four = devices("A", "A", "A", "A")
        #expect(visible(four, [:]) == [0, 1, 2, 3])
        #expect(visible(four, ["CUDA_VISIBLE_DEVICES": "1, 3"]) == [1, 3])
        #expect(visible(four, ["CUDA_VISIBLE_DEVICES": ""]) == [])
        #expect(visible(four, ["CUDA_VISIBLE_DEVICES": "2,-1,3"]) == [2])
        #expect(visible(four, ["CUDA_VISIBLE_DEVICES": "GPU-22,GPU-0"]) == [0, 2])
        #expect(visible(four, ["NVIDIA_VISIBLE_DEVICES": "all"]) == [0, 1, 2, 3])
        #expect(visible(four, ["NVIDIA_VISIBLE_DEVICES": "GPU-3333"]) == [3])
        #expect(visible(four, ["NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": "0"]) == [])
    }

    @Test func instancesAndDoubtsAreCounted() {
        let divided = devices("A", "B", instances: [[], ["MIG-aa", "MIG-bb"]])
        let both = VisibleGPUs(devices: divided, environment: [:])
        #expect(both.count == 3 && both.doubt == nil)
        let one = VisibleGPUs(devices: divided, environment: ["CUDA_VISIBLE_DEVICES": "MIG-bb"])
        #expect(one.chosen == [1: .instances(1)])
        let mixed = VisibleGPUs(devices: divided, environment: ["CUDA_VISIBLE_DEVICES": "0"])
        #expect(mixed.doubt != nil)
        let ordered = ["CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"]
        #expect(VisibleGPUs(devices: divided, environment: ordered).doubt == nil)
    }

    @Test func gpuTimeIsIntegrated() {
        var time = GPUTime()
        time.devices = 2
        time.read(at: 1_000_000, [100, 50], reason: nil)
        time.read(at: 1_800_000, [0, 25], reason: nil)
        time.reserve(until: 1_800_000)
        #expect(time.reservedMilliseconds == 3_600_000)
        #expect(time.busyMilliseconds == 1_700_000)
        #expect(time.words == "GPU-hours 0.47 busy of 1.00 reserved")
        #expect(time.json["readings"] == 2)
        var blind = GPUTime()
        blind.devices = 1
        blind.reserve(until: 36_000)
        #expect(blind.words == "GPU-hours 0.0100 reserved, busy unknown")
        #expect(blind.json["busy_milliseconds"]?["unknown"] != nil)
        var none = GPUTime()
        none.absence = "no library"
        #expect(none.words == "GPU none" && none.json == ["none": "no library"])
    }
}
