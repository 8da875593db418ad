import ArgumentParser

/// What `dfs rerun` and `dfs validate` have in common.
struct RepeatOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A variable of the job, repeatable; without a value the recorded one.", valueName: "NAME[=VALUE]"))
    var env: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A variable that may differ from what it was, repeatable; all: any.", valueName: "NAME"))
    var ignoreEnv: [String] = []
}
