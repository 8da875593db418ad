import DFSModel
import DFSRuns
import DFSSystem
import Glibc
import Testing

@Suite struct PythonFactsTests {
    private func python(
        _ scratch: Scratch, _ arguments: [String], path: String? = nil, cache: String? = nil
    ) throws -> JSONValue {
        var environment = scratch.environment
        environment["HOME"] = "/nonexistent"
        if let path { environment["PATH"] = path }
        var request = HostRequest(
            arguments: arguments, environment: environment, workingDirectory: scratch.path, home: nil,
            cacheDirectory: cache, gpuHelper: ["/bin/false"], hash: testHash)
        request.gpuLibrary = "/nothing.so"
        return try #require(HostFacts.capture(request).stable["python"])
    }

    /// What Python itself finds: normalised name and version, first in the path wins.
    private func ask(_ scratch: Scratch, _ executable: String) throws -> [String: String] {
        let code = """
            import importlib.metadata as m, re
            seen = {}
            for d in m.distributions():
                name = d.metadata['Name']
                if name:
                    seen.setdefault(re.sub(r'[-_.]+', '-', name).lower(), d.version)
            for k, v in seen.items(): print(k, v)
            """
        try scratch.write("ask/ask.py", code)
        // The script's own directory heads sys.path and holds nothing.
        let output = try scratch.shell("HOME=/nonexistent \"$1\" ask/ask.py", executable)
        var found = [String: String]()
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            found[words[0]] = words.count > 1 ? words[1] : ""
        }
        return found
    }

    private func names(_ python: JSONValue) throws -> [String: String] {
        var out = [String: String]()
        let distributions = try #require(python["distributions"])
        if distributions["none"]?.string != nil { return [:] }
        for (name, facts) in try #require(distributions.object) {
            let normalised = name.lowercased().replacing(#/[-_.]+/#, with: "-")
            out[normalised] = facts["version"]?.string
        }
        return out
    }

    @Test func listsWhatTheDefaultPythonHas() throws {
        let scratch = try Scratch()
        let found = try python(scratch, ["python3", "-c", "pass"])
        #expect(found["found_through"] == "argument 0")
        let executable = try #require(found["executable"]?.string)
        let version = String(
            decoding: try scratch.shell("python3 -c 'import platform; print(platform.python_version())'").dropLast(),
            as: UTF8.self)
        #expect(found["version"]?.string == version)
        let prefix = String(
            decoding: try scratch.shell("python3 -c 'import sys; print(sys.prefix)'").dropLast(), as: UTF8.self)
        #expect(found["prefix"]?.string == prefix)
        #expect(try names(found) == ask(scratch, executable))
    }

    @Test(.enabled(if: Files.exists("/usr/bin/python3")))
    func listsWhatTheSystemPythonHas() throws {
        let scratch = try Scratch()
        let found = try python(scratch, ["/usr/bin/python3"], path: "/usr/bin:/bin")
        #expect(try names(found) == ask(scratch, "/usr/bin/python3"))
        let none = try python(scratch, ["./train.sh"], path: "/usr/bin:/bin")
        #expect(none["found_through"] == "python3 in PATH")
        #expect(none["distributions"] == found["distributions"])
    }

    /// A virtual environment with a package, an editable one of today and one of yesterday's kind.
    private func makeEnvironment(_ scratch: Scratch, _ flags: String = "") throws {
        try scratch.shell("python3 -m venv --without-pip \(flags) venv; ln -s \"$(ls -d venv/lib/python3.*)\" library")
        let site = "library/site-packages"
        try scratch.write(
            "\(site)/Some_Thing-1.5.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.5\n\nName: no\n")
        try scratch.write("\(site)/mine-0.1.dist-info/METADATA", "Name: mine\nVersion: 0.1\n")
        try scratch.write(
            "\(site)/mine-0.1.dist-info/direct_url.json",
            #"{"dir_info":{"editable":true},"url":"file:///src/my%20project"}"#)
        try scratch.write("\(site)/fromgit-2.0.dist-info/METADATA", "Name: fromgit\nVersion: 2.0\n")
        try scratch.write(
            "\(site)/fromgit-2.0.dist-info/direct_url.json",
            #"{"url":"https://user:secret@example.com/a.git?token=x","vcs_info":{"commit_id":"abc123","vcs":"git"}}"#)
        try scratch.write("old/oldstyle.egg-info/PKG-INFO", "Name: oldstyle\nVersion: 3.0\n")
        try scratch.write("\(site)/easy-install.pth", "# a comment\n\(scratch.path)/old\n")
    }

    @Test func listsAVirtualEnvironment() throws {
        let scratch = try Scratch()
        try makeEnvironment(scratch)
        let found = try python(scratch, ["venv/bin/python", "x.py"])
        #expect(found["virtual_environment"] == true)
        #expect(found["sees_system_packages"] == false)
        #expect(found["prefix"]?.string == scratch.path + "/venv")
        #expect(found["executable"]?.string == scratch.path + "/venv/bin/python")
        #expect(found["base_prefix"]?.string != found["prefix"]?.string)
        #expect(try names(found) == ask(scratch, scratch.path + "/venv/bin/python"))
        #expect(
            found["distributions"] == [
                "Some.Thing": ["version": "1.5"],
                "fromgit": [
                    "origin": ["commit": "abc123", "url": "https://example.com/a.git"], "version": "2.0",
                ],
                "mine": ["editable": "/src/my project", "version": "0.1"],
                "oldstyle": ["editable": .string(scratch.path + "/old"), "version": "3.0"],
            ])
    }

    @Test func listsAnEnvironmentThatSeesTheSystem() throws {
        let scratch = try Scratch()
        try makeEnvironment(scratch, "--system-site-packages")
        let found = try python(scratch, ["venv/bin/python3"])
        #expect(found["sees_system_packages"] == true)
        let names = try names(found)
        #expect(names.count > 4)
        #expect(try names == ask(scratch, scratch.path + "/venv/bin/python3"))
    }

    @Test func theCacheFollowsInstallations() throws {
        let scratch = try Scratch()
        try makeEnvironment(scratch)
        let cache = scratch.path + "/cache"
        let before = try python(scratch, ["venv/bin/python"], cache: cache)
        #expect(try python(scratch, ["venv/bin/python"], cache: cache) == before)
        try scratch.write("library/site-packages/new-1.0.dist-info/METADATA", "Name: new\nVersion: 1.0\n")
        let added = try python(scratch, ["venv/bin/python"], cache: cache)
        #expect(added["distributions"]?["new"]?["version"] == "1.0")
        // A project that a .pth file names, and the file itself, are watched too.
        try scratch.shell(
            "mv old/oldstyle.egg-info old/renamed.egg-info; sed -i s/3.0/4.0/ old/renamed.egg-info/PKG-INFO")
        #expect(
            try python(scratch, ["venv/bin/python"], cache: cache)["distributions"]?["oldstyle"]?["version"] == "4.0")
        try scratch.shell("echo '# none any more' > library/site-packages/easy-install.pth")
        #expect(try python(scratch, ["venv/bin/python"], cache: cache)["distributions"]?["oldstyle"] == nil)
    }

    @Test func findsThePythonBehindAScript() throws {
        let scratch = try Scratch()
        try makeEnvironment(scratch)
        let interpreter = scratch.path + "/venv/bin/python"
        try scratch.write("tool", "#!\(interpreter)\nprint()\n")
        try scratch.write("long", "#!/bin/sh\n'''exec' \(interpreter) \"$0\" \"$@\"\n' '''\n")
        try scratch.write("by-env", "#!/usr/bin/env python3\n")
        try scratch.shell("chmod +x tool long by-env")
        for tool in ["./tool", "./long"] {
            let found = try python(scratch, [tool])
            #expect(found["executable"]?.string == interpreter)
            #expect(found["found_through"]?.string == "the first line of \(tool.dropFirst(2))")
        }
        let path = scratch.path + "/venv/bin:/usr/bin:/bin"
        #expect(try python(scratch, ["./by-env"], path: path)["executable"]?.string == interpreter + "3")
        let viaEnv = try python(scratch, ["env", "A=1", "python3", "x.py"], path: path)
        #expect(viaEnv["executable"]?.string == interpreter + "3")
    }

    @Test func noPythonIsNoneFound() throws {
        let scratch = try Scratch()
        try scratch.shell("mkdir bin; ln -s /bin/true bin/job")
        let found = try python(scratch, ["job"], path: scratch.path + "/bin")
        #expect(found == ["none": "no python in the command, no python3 or python in PATH"])
    }

    @Test func aPythonThatHangsIsUnknown() throws {
        let scratch = try Scratch()
        try scratch.write("python3", "#!/bin/sh\nsleep 600\n")
        try scratch.shell("chmod +x python3")
        let found = try python(scratch, ["./python3"])
        #expect(found["version"] == ["unknown": "timed out after 2 s"])
        #expect(found["distributions"] == ["unknown": "timed out after 2 s"])
    }
}
