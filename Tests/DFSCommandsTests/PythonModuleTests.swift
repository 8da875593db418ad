import DFSModel
import DFSSystem
import DFSTestSupport
import Testing

/// `tools/python`: its own tests, and a script that uses it in a run.
enum PythonModule {
    static let folder = Files.parent(Files.parent(Files.parent(#filePath))) + "/tools/python"
}

@Suite struct PythonModuleTests {
    @Test func itsOwnTestsPass() throws {
        let sandbox = try Sandbox()
        let result = try SpawnedProgram(
            "/usr/bin/python3", ["-B", "-m", "unittest", "discover", "-s", "tests"].map { Array($0.utf8) },
            variables: ["HOME": sandbox.home, "PATH": "/usr/bin:/bin"], in: PythonModule.folder,
            scratch: sandbox.root + "/scratch"
        ).wait()
        #expect(result.code == 0, "\(result.outputText)\(result.errorText)")
        #expect(result.errorText.contains("OK"), "\(result.errorText)")
    }
}

extension PlayWithMounts {
    @Suite struct PythonModulePlayTests {
        @Test func aScriptLogsIntoItsRun() throws {
            let stage = try Stage()
            try stage.directory.write("data/x", "frozen\n")
            try stage.done("commit", "x", stage.directory.sub("data"))
            try stage.directory.write(
                "project/train.py",
                """
                import deepops_fs, os
                deepops_fs.params(lr=0.1)
                for step in range(3):
                    deepops_fs.log(step=step, acc=step / 4, loss=float("nan"))
                assert open(os.path.join(deepops_fs.data("x"), "x")).read() == "frozen\\n"
                assert deepops_fs.data() == deepops_fs.data("x")
                open(deepops_fs.outputs("sub", "model"), "w").write(str(deepops_fs.seed()))
                """)
            let result = try stage.start(
                "dfs-run", ["--data", "x", "--seed", "11", "--", "/usr/bin/python3", "-B", "train.py"],
                variables: ["PYTHONPATH": PythonModule.folder]
            ).wait()
            #expect(result.code == 0, "\(result.errorText)")
            #expect(try stage.done("cat", "run:latest/outputs/sub/model") == "11")
            let where_ = "acc = 0.5 and params.lr = 0.1 and loss = nan and seed = 11 and exit = 0 and acc.min = 0"
            let found = try stage.done("runs", "-q", "--where", where_)
            #expect(found.split(separator: "\n").count == 1)
            try stage.expectNothingLeft()
        }
    }
}
