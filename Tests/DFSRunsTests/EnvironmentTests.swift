import DFSModel
import DFSSystem
import Glibc
import Testing

@testable import DFSRuns

@Suite struct EnvironmentTests {
    /// A prefix with a library folder and a program that stands in for an interpreter.
    private func prefix(_ scratch: Scratch, _ name: String) throws -> String {
        try scratch.write(name + "/lib/python3.12/os.py", "")
        try scratch.write(name + "/bin/python3.12", "#!/bin/sh\n")
        try scratch.shell("chmod +x '\(name)/bin/python3.12'; ln -s python3.12 '\(name)/bin/python'")
        return scratch.path + "/" + name
    }

    private func virtual(_ scratch: Scratch, _ name: String, of base: String) throws -> String {
        try scratch.write(name + "/pyvenv.cfg", "home = \(base)/bin\n")
        try scratch.write(name + "/lib/python3.12/site-packages/x.so", "")
        try scratch.shell("mkdir -p '\(name)/bin'; ln -s '\(base)/bin/python3.12' '\(name)/bin/python'")
        return scratch.path + "/" + name
    }

    private func parts(_ executable: String) -> [String] {
        EnvironmentParts.of(executable: executable).map { "\($0.kind.rawValue) \($0.path)" }
    }

    @Test func prefixesAreKnownByTheirMarks() throws {
        let scratch = try Scratch()
        let uv = try prefix(scratch, "share/uv/python/cpython-3.12.7-linux-x86_64-gnu")
        #expect(parts(uv + "/bin/python") == ["uv \(uv)"])
        let pyenv = try prefix(scratch, "root/versions/3.12.7")
        try scratch.shell("mkdir root/shims")
        #expect(parts(pyenv + "/bin/python") == ["pyenv \(pyenv)"])
        let conda = try prefix(scratch, "miniforge/envs/train")
        try scratch.shell("mkdir miniforge/envs/train/conda-meta")
        #expect(parts(conda + "/bin/python") == ["conda \(conda)"])
        let plain = try prefix(scratch, "opt/python")
        #expect(
            parts(plain + "/bin/python")
                == ["lib/python3.12", "bin/python", "bin/python3.12"].map { "python \(plain)/\($0)" })
        let venv = try virtual(scratch, "project/.venv", of: uv)
        #expect(parts(venv + "/bin/python") == ["virtual \(venv)", "uv \(uv)"])
        #expect(parts("/bin/sh") == [] || parts("/bin/sh").allSatisfy { $0.hasPrefix("system") })
    }

    @Test func theSystemsOwnPythonIsTakenInParts() throws {
        guard Files.exists("/usr/bin/python3"), Files.isDirectory("/usr/lib/python3/dist-packages") else {
            return print("skipped: no Debian Python")
        }
        let found = EnvironmentParts.of(executable: "/usr/bin/python3")
        #expect(found.allSatisfy { $0.kind == .system })
        let paths = found.map(\.path)
        #expect(paths.contains("/usr/lib/python3") && paths.contains("/usr/bin/python3"))
        #expect(!paths.contains("/usr") && !paths.contains("/usr/lib"))
    }

    @Test func whatWasMappedDecidesWhichPythonCounts() throws {
        let scratch = try Scratch()
        let base = try prefix(scratch, "opt/python")
        let venv = try virtual(scratch, "venv", of: base)
        let python: JSONValue = ["executable": .string(base + "/bin/python"), "found_through": "python3 in PATH"]
        try scratch.shell("mkdir opt/python/conda-meta")
        func find(_ python: JSONValue?, _ mapped: [String]) -> [String] {
            EnvironmentParts.find(python: python, home: nil, mapped: mapped).map(\.path)
        }
        // A command that is no Python, and a Python in PATH that it did not start.
        #expect(find(python, ["/bin/sh"]) == [])
        #expect(find(python, [base + "/bin/python3.12"]) == [base])
        #expect(find(["executable": .string(base + "/bin/python"), "found_through": "argument 0"], []) == [base])
        // A script that a shell has started in an environment of its own.
        #expect(find(nil, [base + "/bin/python3.12", venv + "/lib/python3.12/site-packages/x.so"]) == [base, venv])
        let home: JSONValue = ["executable": "~/bin/python", "found_through": "argument 0"]
        #expect(EnvironmentParts.find(python: home, home: base, mapped: []).map(\.path) == [base])
    }

    /// Of a Python that was unpacked into a home directory nothing else of the home is taken.
    @Test func onlyPythonsOwnIsTakenOfAnyPrefix() throws {
        let scratch = try Scratch()
        let home = try prefix(scratch, "home")
        for name in [".ssh/id_ed25519", "bin/backup", "lib/secrets.txt", "lib/libpython3.12.so.1.0", "include/x.h"] {
            try scratch.write("home/" + name, "")
        }
        let found = EnvironmentParts.of(executable: home + "/bin/python").map { String($0.path.dropFirst(home.count)) }
        #expect(
            found == ["/lib/python3.12", "/lib/libpython3.12.so.1.0", "/bin/python", "/bin/python3.12"])
        // Not even where something says that all of it is Python's.
        try scratch.shell("mkdir home/conda-meta")
        let bounds = EnvironmentBounds(home: home)
        let divided = bounds.divide(EnvironmentParts.of(executable: home + "/bin/python"))
        #expect(divided.taken.isEmpty && divided.refused.map(\.part.path) == [home])
        #expect(bounds.verdict(Files.parent(home)) != .free && bounds.verdict(home + "/lib/python3.12") == .free)
    }

    private func root(_ path: String, excluded: [String]) -> EnvironmentBounds.Root {
        EnvironmentBounds.Root(
            CodeSurvey(
                root: path,
                excluded: excluded.map { ExcludedPath(path: Array($0.utf8), isDirectory: true, reason: .ignored) },
                facts: CodeFacts()))
    }

    @Test func codeAndDataAreNoEnvironment() throws {
        let bounds = EnvironmentBounds(
            roots: [
                root("/p", excluded: [".git", ".venv", "mixed/lib", "a/__pycache__"]), root("/q/lib", excluded: []),
            ],
            data: ["/data/faces"], home: "/home/u", withheld: ["/home/u/.config/dfs"])
        for path in ["/p/x.so", "/p/sub/lib", "/q/lib", "/q/lib/y.so"] {
            #expect(bounds.verdict(path) == .recorded("code"), "\(path)")
        }
        for path in ["/p/.venv", "/p/.venv/lib/x.so", "/pp", "/opt/python", "/q/venv", "/home/u/venv", "/data2"] {
            #expect(bounds.verdict(path) == .free, "\(path)")
        }
        #expect(bounds.verdict("/data/faces/x") == .recorded("data"))
        for path in ["/", "/p", "/q", "/data", "/home", "/home/u", "/p/mixed", "/home/u/.config/dfs/key"] {
            guard case .refused = bounds.verdict(path) else {
                Issue.record("\(path)")
                continue
            }
        }
        let json = EnvironmentBounds(json: bounds.json)
        #expect(
            json.json == bounds.json && json.verdict("/p/.venv") == .free && json.verdict("/p/a") == .recorded("code"))
    }

    /// `python -m venv .` in the project.
    @Test func ofAnEnvironmentThatIsTheProjectOnlyItsOwnIsTaken() throws {
        let scratch = try Scratch()
        let base = try prefix(scratch, "opt/python")
        let venv = try virtual(scratch, "project", of: base)
        try scratch.shell("mkdir project/.git; touch project/train.py project/.env")
        let part = EnvironmentPart(venv, .virtual)
        let captured = EnvironmentBounds(roots: [root(venv, excluded: [".git"])]).divide([part])
        #expect(captured.taken.isEmpty && captured.refused.isEmpty)
        #expect(captured.recorded.map(\.path) == ["pyvenv.cfg", "bin", "lib"].map { venv + "/" + $0 })
        let ignored = EnvironmentBounds(roots: [root(venv, excluded: [".git", "lib", "bin", "pyvenv.cfg"])])
        #expect(ignored.divide([part]).taken.map(\.path) == ["pyvenv.cfg", "bin", "lib"].map { venv + "/" + $0 })
        // One that lies in the project and is ignored as a whole stays whole.
        let inside = EnvironmentBounds(roots: [root(scratch.path, excluded: ["project"])])
        #expect(inside.divide([part]).taken == [part])
    }

    @Test func partsDoNotOverlap() {
        let parts = [EnvironmentPart("/a/b", .python), EnvironmentPart("/a/bc", .virtual), EnvironmentPart("/a", .uv)]
        #expect(EnvironmentParts.disjoint(parts).map(\.path) == ["/a"])
        #expect(EnvironmentParts.disjoint(Array(parts.prefix(2))).map(\.path) == ["/a/b", "/a/bc"])
        let libraries = EnvironmentParts.libraries(["/a/b/x.so", "/usr/lib/y.so", "/usr/lib/y.so"], besides: parts)
        #expect(libraries.map(\.path) == ["/usr/lib/y.so"])
    }

    @Test func theFilterTakesPartsAndWhatLeadsToThem() {
        let filter = EnvironmentFilter(paths: ["/home/u/venv", "/usr/lib/liba.so"], leftOut: ["/home/u/venv/pkgs"])
        func takes(_ path: String, _ isDirectory: Bool = true) -> Bool {
            filter.includes(Array(path.utf8), isDirectory: isDirectory)
        }
        #expect(takes("home") && takes("home/u") && takes("home/u/venv") && takes("home/u/venv/lib/x.py", false))
        #expect(!takes("home", false) && !takes("home/v") && !takes("home/u/venv2") && !takes("etc"))
        #expect(!takes("home/u/venv/pkgs") && !takes("home/u/venv/lib/__pycache__"))
        #expect(takes("usr/lib/liba.so", false) && !takes("usr/lib/libb.so", false) && !takes("usr/bin"))
    }

    @Test func theCLibraryIsOneFamily() {
        for name in [
            "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libm-2.31.so", "libnss_files.so.2", "libpthread.so.0",
        ] {
            #expect(SystemLibraries.isOfLibc(name), "\(name)")
        }
        for name in ["libcrypto.so.3", "libmpi.so", "libcap.so.2", "libnsync.so", "libstdc++.so.6"] {
            #expect(!SystemLibraries.isOfLibc(name), "\(name)")
        }
        #expect(SystemLibraries.isOfDriver("/usr/lib/x86_64-linux-gnu/libcuda.so.555.42"))
        #expect(!SystemLibraries.isOfDriver("/usr/local/cuda/lib64/libcudart.so.12"))
        #expect(SystemLibraries.version("glibc 2.36") == [2, 36] && SystemLibraries.version("musl") == nil)
    }
}
