import DFSModel
import DFSRuns
import DFSSystem
import DFSTestSupport
import Glibc
import Testing

@Suite struct NVMLTests {
    /// The fake library, compiled with `flags`.
    private func library(_ scratch: Scratch, _ flags: String = "") throws -> String {
        try scratch.shell("cc -w -shared -fPIC \(flags) -o libnvidia-ml.so.1 '\(Scratch.fixtures)/fake_nvml.c'")
        return scratch.path + "/libnvidia-ml.so.1"
    }

    private func request(_ scratch: Scratch, helper: [String], library: String?) -> HostRequest {
        var request = HostRequest(
            arguments: ["true"], environment: scratch.environment, workingDirectory: scratch.path, home: scratch.path,
            cacheDirectory: nil, gpuHelper: helper, hash: testHash)
        request.gpuLibrary = library
        return request
    }

    @Test func readsTwoDevices() throws {
        let scratch = try Scratch()
        let value = NVML.captureJSON(library: try library(scratch))
        #expect(value["format"] == "dfs.nvml/1")
        #expect(value["stable"]?["driver"] == "555.42.02")
        #expect(value["stable"]?["cuda_driver"] == "12.5")
        #expect(value["stable"]?["nvml"] == "12.555.42.02")
        let devices = try #require(value["stable"]?["devices"]?.array)
        try #require(devices.count == 2)
        #expect(
            devices[0] == [
                "clocks_max_mhz": ["graphics": 1500, "memory": 1502, "sm": 1501], "compute_capability": "7.5",
                "compute_mode": "default", "ecc": ["unknown": "Not Supported"], "memory_bytes": 16_106_127_360,
                "mig": ["current": false, "instances": ["none": "MIG is disabled"], "pending": false],
                "name": "Fake T4", "nvlink": ["unknown": "Not Supported"], "pci": "00000000:17:00.0",
                "persistence_mode": true, "power_limit_milliwatts": 70000, "serial": ["unknown": "Not Supported"],
                "uuid": "GPU-0000",
                "vbios": ["unknown": "nvmlDeviceGetVbiosVersion answered with an empty text"],
            ])
        #expect(devices[1]["ecc"] == ["current": true, "pending": false])
        #expect(devices[1]["serial"] == "1320621")
        #expect(devices[1]["nvlink"] == ["active": [true, false, true]])
        #expect(devices[1]["compute_mode"] == "exclusive process")
        let instances = try #require(devices[1]["mig"]?["instances"]?.array)
        #expect(instances.map { $0["uuid"] } == ["MIG-aaaa", "MIG-bbbb"])
        #expect(instances[0]["memory_bytes"] == 5_100_273_664)
        #expect(instances[0]["multiprocessors"] == 14)
        #expect(
            value["volatile"]?["devices"]?.array?[1] == [
                "clocks_mhz": ["graphics": 300, "memory": 302, "sm": 301], "compute_processes": 3,
                "ecc_errors_uncorrected": ["unknown": "nvmlDeviceGetTotalEccErrors is not in this library"],
                "memory_used_bytes": 1_048_576, "power_milliwatts": 12345, "temperature_celsius": 41,
                "uuid": "GPU-1111",
            ])
        #expect(value["volatile"]?["devices"]?.array?[0]["compute_processes"] == 0)
    }

    @Test func recordsWhatTheHelperPrints() throws {
        let scratch = try Scratch()
        let library = try library(scratch)
        let value = NVML.captureJSON(library: library)
        try scratch.write("answer.json", value.canonicalText)
        // The helper is given the library as its last argument.
        let helper = ["/bin/sh", "-c", "[ \"$1\" = '\(library)' ] && cat \"$0\"", scratch.path + "/answer.json"]
        let record = HostFacts.capture(request(scratch, helper: helper, library: library))
        #expect(record.stable["gpu"] == value["stable"])
        #expect(record.volatile["gpu"] == value["volatile"])
    }

    @Test func aHangingLibraryIsGivenUpAndKilled() throws {
        let scratch = try Scratch()
        let library = try library(scratch, "-DHANG")
        try scratch.shell("cc -w -o probe '\(Scratch.fixtures)/probe.c' -ldl")
        let script = "echo $$ > '\(scratch.path)/pid'; exec '\(scratch.path)/probe' \"$0\""
        var request = request(scratch, helper: ["/bin/sh", "-c", script], library: library)
        request.gpuMilliseconds = 2000
        let record = HostFacts.capture(request)
        #expect(record.stable["gpu"] == ["unknown": "timed out after 2 s"])
        #expect(record.volatile["gpu"] == ["unknown": "timed out after 2 s"])
        let text = String(decoding: try #require(try Files.read(scratch.path + "/pid")), as: UTF8.self)
        let pid = try #require(pid_t(text.dropLast()))
        #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }

    @Test func aProbeThatAnswersInTimeIsHeard() throws {
        let scratch = try Scratch()
        let library = try library(scratch)
        try scratch.shell("cc -w -o probe '\(Scratch.fixtures)/probe.c' -ldl")
        let answer = GPUProbe.capture(helper: [scratch.path + "/probe", library], environment: scratch.environment)
        #expect(answer.stable == [:] && answer.volatile == [:])
    }

    @Test(arguments: [
        (["/bin/sh", "-c", "echo garbage"], "the probe did not print a dfs.nvml/1 object"),
        (["/bin/sh", "-c", "echo broken driver >&2; exit 3"], "the probe failed: broken driver"),
        (["/bin/sh", "-c", "kill -SEGV $$"], "the probe failed: ended by signal 11"),
        (["/nowhere/dfs"], "cannot run /nowhere/dfs: not found in PATH"),
    ])
    func aBrokenProbeIsNamed(helper: [String], reason: String) throws {
        let scratch = try Scratch()
        let answer = GPUProbe.capture(helper: helper, environment: scratch.environment)
        #expect(answer.stable == ["unknown": .string(reason)])
    }

    @Test func withoutALibraryNoChildIsStarted() throws {
        let scratch = try Scratch()
        let marker = scratch.path + "/started"
        let helper = ["/usr/bin/touch", marker]
        let record = HostFacts.capture(request(scratch, helper: helper, library: scratch.path + "/nothing.so"))
        #expect(!Files.exists(marker))
        let nodes = try DirectoryListing.names(of: "/dev").filter { $0.starts(with: Array("nvidia".utf8)) }
        if nodes.isEmpty {
            #expect(record.stable["gpu"] == ["none": "libnvidia-ml.so.1 not found, no /dev/nvidia*"])
        } else {
            #expect(record.stable["gpu"]?["unknown"] != nil)
        }
    }

    @Test func aLibraryThatIsNoneIsUnknown() throws {
        let scratch = try Scratch()
        try scratch.write("no.so", "text")
        let value = NVML.captureJSON(library: scratch.path + "/no.so")
        #expect(value["stable"]?["unknown"]?.string?.contains("no.so") == true)
    }

    @Test func aLibraryWithoutDevicesCountsNone() throws {
        let scratch = try Scratch()
        try scratch.write(
            "empty.c", "int nvmlInit_v2(void){return 0;} int nvmlDeviceGetCount_v2(unsigned *n){*n=0;return 0;}")
        try scratch.shell("cc -w -shared -fPIC -o empty.so empty.c")
        let value = NVML.captureJSON(library: scratch.path + "/empty.so")
        #expect(value["stable"]?["devices"] == ["none": "NVML counts no device"])
        #expect(value["stable"]?["driver"] == ["unknown": "nvmlSystemGetDriverVersion is not in this library"])
    }

    @Test func aDriverThatIsNotLoadedIsNamed() throws {
        let scratch = try Scratch()
        try scratch.write(
            "off.c",
            "int nvmlInit_v2(void){return 9;} const char *nvmlErrorString(int c){return \"Driver Not Loaded\";}")
        try scratch.shell("cc -w -shared -fPIC -o off.so off.c")
        let value = NVML.captureJSON(library: scratch.path + "/off.so")
        #expect(value["stable"] == ["unknown": "nvmlInit_v2: Driver Not Loaded"])
    }
}

@Suite struct NVMLWatchTests {
    @Test func readingsComeWhenAskedFor() throws {
        let scratch = try Scratch()
        try scratch.shell("cc -w -shared -fPIC -DWATCHED -o nvml.so '\(Scratch.fixtures)/fake_nvml.c'")
        let watch = try GPUWatch(
            helper: [SpawnedProgram.products + "/dfs", "__nvml"], library: scratch.path + "/nvml.so")
        watch.ask()
        let readings = watch.take(milliseconds: 20_000)
        let devices = try #require(watch.devices)
        #expect(devices.map { $0["uuid"] } == ["GPU-0000", "GPU-1111"])
        #expect(watch.report?["none"] != nil || watch.report == nil)
        try #require(readings.count == 1 && readings[0].count == 2)
        #expect(
            readings[0][0] == [
                "clocks_mhz": ["graphics": 300, "memory": 302, "sm": 301],
                "ecc_errors_corrected": ["unknown": "Not Supported"],
                "ecc_errors_uncorrected": ["unknown": "Not Supported"], "memory_used_bytes": 1_048_576,
                "power_milliwatts": 12345, "temperature_celsius": 41, "throttle_reasons": [],
                "utilisation_percent": .double(40.5),
            ])
        #expect(readings[0][1]["throttle_reasons"] == ["power cap", "hardware thermal"])
        #expect(readings[0][1]["utilisation_percent"] == 75)
        #expect(readings[0][1]["xid"] == [79])
        #expect(readings[0][1]["ecc_errors_corrected"] == 7)
        watch.ask()
        let second = try #require(watch.take(milliseconds: 20_000).first)
        #expect(second[1]["xid"] == nil)
        watch.end()
        #expect(watch.failure == nil)
    }

    @Test func aDriverThatHangsIsGivenUp() throws {
        let scratch = try Scratch()
        try scratch.shell("cc -w -shared -fPIC -DHANG -o nvml.so '\(Scratch.fixtures)/fake_nvml.c'")
        let watch = try GPUWatch(
            helper: [SpawnedProgram.products + "/dfs", "__nvml"], library: scratch.path + "/nvml.so")
        for _ in 0..<10 {
            watch.ask()
            #expect(watch.take() == [])
        }
        #expect(watch.failure == "the driver has not answered 8 questions")
        watch.end()
    }

    @Test func aLibraryThatIsNoneIsSaidToBe() throws {
        let watch = try GPUWatch(helper: [SpawnedProgram.products + "/dfs", "__nvml"], library: "/nothing.so")
        watch.ask()
        #expect(watch.take(milliseconds: 20_000) == [])
        #expect(watch.failure?.contains("nothing.so") == true)
        watch.end()
    }
}
