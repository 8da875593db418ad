import DFSModel
import DFSRuns
import DFSSystem
import Glibc
import Testing

@Suite struct HostFactsTests {
    private func request(
        _ scratch: Scratch, _ arguments: [String] = ["python3", "train.py"], cache: String? = nil
    ) -> HostRequest {
        var request = HostRequest(
            arguments: arguments, environment: scratch.environment, workingDirectory: scratch.path, home: "/root",
            cacheDirectory: cache, gpuHelper: ["/bin/false"], hash: testHash)
        request.gpuLibrary = "/nothing.so"
        return request
    }

    @Test func thisMachineHasNoEmptyFacts() throws {
        let scratch = try Scratch()
        let record = HostFacts.capture(request(scratch))
        #expect(record.value.empties() == [])
        #expect(try JSONValue.parseCanonical(record.value.canonicalBytes) == record.value)
        #expect(try HostRecord(record.value) == record)
        #expect(record.stable["hardware"]?["cpu"]?["threads"]?.integer ?? 0 >= 1)
        #expect(record.stable["hardware"]?["memory_bytes"]?.integer ?? 0 > 1 << 20)
        #expect(record.stable["kernel"]?["system"] == "Linux")
        #expect(record.stable["os"]?["id"]?.string != nil)
        #expect(record.stable["libc"]?.string?.hasPrefix("glibc ") == true)
        #expect(record.volatile["storage"]?["free_bytes"]?.integer != nil)
        #expect(record.volatile["clock"]?["synchronised"]?.bool != nil)
        let uname = String(decoding: try scratch.shell("uname -r").dropLast(), as: UTF8.self)
        #expect(record.stable["kernel"]?["release"]?.string == uname)
        let files = String(decoding: try scratch.shell("ulimit -Sn").dropLast(), as: UTF8.self)
        #expect(record.job["limits"]?["open_files"]?["soft"] == (Int64(files).map { .integer($0) } ?? .string(files)))
        let type = String(decoding: try scratch.shell("findmnt -n -o FSTYPE -T .").dropLast(), as: UTF8.self)
        #expect(record.job["storage"]?["type"]?.string == type)
    }

    @Test func hostAndUserNamesAreInIdentityOnly() throws {
        let scratch = try Scratch()
        let record = HostFacts.capture(request(scratch))
        let host = String(decoding: try scratch.shell("hostname").dropLast(), as: UTF8.self)
        #expect(record.identity["hostname"]?.string == host)
        let user = String(decoding: try scratch.shell("id -un").dropLast(), as: UTF8.self)
        #expect(record.identity["user"]?.string == user)
        for (path, text) in record.stable.texts() {
            #expect(!text.hasPrefix("/root/"), "\(path)")
            #expect(text != host, "\(path)")
        }
    }

    @Test func twoCapturesDifferInTheVolatilePartOnly() throws {
        let scratch = try Scratch()
        let first = HostFacts.capture(request(scratch))
        let second = HostFacts.capture(request(scratch))
        #expect(first.stable.canonicalBytes == second.stable.canonicalBytes)
        #expect(first.job == second.job)
        #expect(first.identity == second.identity)
        #expect(first.volatile != second.volatile)
    }

    @Test func whatIsCachedIsWhatIsFound() throws {
        let scratch = try Scratch()
        let cache = scratch.path + "/cache"
        let plain = HostFacts.capture(request(scratch))
        let filling = HostFacts.capture(request(scratch, cache: cache))
        #expect(try DirectoryListing.names(of: cache).count >= 4)
        let cached = HostFacts.capture(request(scratch, cache: cache))
        #expect(filling.stable == plain.stable)
        #expect(cached.stable.canonicalBytes == plain.stable.canonicalBytes)
    }

    /// A cache file that can be parsed and says something else must not be believed unless its digest is right.
    @Test func damagedCachesAreRebuilt() throws {
        let scratch = try Scratch()
        let cache = scratch.path + "/cache"
        let plain = HostFacts.capture(request(scratch, cache: cache))
        for name in try DirectoryListing.names(of: cache) {
            let path = cache + "/" + String(decoding: name, as: UTF8.self)
            let good = try #require(try Files.read(path))
            // One character of the value, near the end.
            var bad = good
            let place = try #require(bad.lastIndex { (0x30...0x38).contains($0) || (0x61...0x79).contains($0) })
            bad[place] += 1
            for damaged in [bad, Array(good.prefix(good.count / 2)), [], Array("garbage".utf8)] {
                try scratch.write(
                    "cache/" + String(decoding: name, as: UTF8.self), String(decoding: damaged, as: UTF8.self))
                #expect(HostFacts.capture(request(scratch, cache: cache)).stable == plain.stable)
                #expect(try Files.read(path) == good, "\(path) is written anew")
            }
        }
    }

    @Test func aCacheWithTheRightDigestIsBelieved() throws {
        // Shows that the cache is used at all: a changed value under a right digest comes through.
        let scratch = try Scratch()
        let cache = scratch.path + "/cache"
        _ = HostFacts.capture(request(scratch, cache: cache))
        let path = cache + "/hardware.json"
        let text = String(decoding: try #require(try Files.read(path)).dropFirst(72), as: UTF8.self)
        let changed = text.replacing("\"threads\":", with: "\"threads\":1000")
        try scratch.write("cache/hardware.json", testHash(Array(changed.utf8)).text + "\n" + changed)
        let record = HostFacts.capture(request(scratch, cache: cache))
        #expect(record.stable["hardware"]?["cpu"]?["threads"]?.integer ?? 0 >= 10000)
    }

    @Test func dpkgIsCountedAsDpkgCounts() throws {
        let scratch = try Scratch()
        let packages = try #require(HostFacts.capture(request(scratch)).stable["packages"])
        guard Files.exists("/var/lib/dpkg/status") else {
            #expect(packages["none"] != nil)
            return
        }
        let listed = try scratch.shell("dpkg-query -W -f '${Package}:${Architecture} ${Version}\\n' | LC_ALL=C sort")
        let lines = listed.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) }
        let installed = packages["installed"]?.object ?? [:]
        let incomplete = packages["incomplete"]?["none"] == nil ? packages["incomplete"]?.object ?? [:] : [:]
        #expect(installed.count + incomplete.count == lines.count)
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            if let version = installed[words[0]] { #expect(version.string == words[1]) }
        }
    }

    @Test func onlyKnownSwitchesAreRecorded() throws {
        let scratch = try Scratch()
        var request = request(scratch)
        request.environment["AWS_SECRET_ACCESS_KEY"] = "hunter2"
        request.environment["PYTHONHASHSEED"] = "7"
        request.environment["CUDA_VISIBLE_DEVICES"] = ""
        request.environment["LC_ALL"] = nil
        request.environment["TZ"] = "Europe/Berlin"
        let record = HostFacts.capture(request)
        #expect(
            record.job["switches"] == [
                "CUDA_VISIBLE_DEVICES": ["none": "set to an empty text"], "PYTHONHASHSEED": "7", "TZ": "Europe/Berlin",
            ])
        #expect(record.job["timezone"] == "Europe/Berlin")
        #expect(!record.value.canonicalText.contains("hunter2"))
    }
}
