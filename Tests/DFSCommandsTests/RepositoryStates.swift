import Testing

/// Repositories in states that people leave them in, each made by a shell script in an empty directory. The project is `repo`.
struct RepositoryState: Sendable, CustomTestStringConvertible {
    let name: String
    let script: String
    /// Where the project is, and the directory with git's data, where that is not `repo/.git`.
    var project = "repo", data = "repo/.git"
    /// What git says of it (`code.json`), by dotted names below `git`.
    var facts: [String: String] = [:]
    /// Files that must be in the snapshot, with their content.
    var holds: [String: String] = [:]

    var testDescription: String { name }

    private static let base = """
        git init -q repo; cd repo; mkdir -p src/deep; printf 'one\\n' > src/one.py; printf 'two\\n' > src/deep/two.py
        printf 'read\\n' > README; printf '#!/bin/sh\\n' > tool; chmod +x tool; ln -s README link
        git add .; git commit -qm first; printf 'more\\n' >> README; git commit -qam second; cd ..

        """

    static let all: [RepositoryState] = edits + places + clones + conflicts + settings

    private static let edits = [
        RepositoryState(name: "clean", script: base, holds: ["README": "read\nmore\n"]),
        RepositoryState(
            name: "modified", script: base + "cd repo; printf 'x\\n' > src/one.py; touch -d 2001-01-01 README",
            facts: ["modified": "1", "staged": "0"], holds: ["src/one.py": "x\n"]),
        RepositoryState(
            name: "staged", script: base + "cd repo; printf 'x\\n' > src/one.py; git add .",
            facts: ["modified": "0", "staged": "1"], holds: ["src/one.py": "x\n"]),
        RepositoryState(
            name: "staged and modified again",
            script: base + "cd repo; printf 'x\\n' > src/one.py; git add .; printf 'y\\n' > src/one.py",
            facts: ["modified": "1", "staged": "1"], holds: ["src/one.py": "y\n"]),
        RepositoryState(
            name: "stashed",
            script: base + "cd repo; echo x > README; git stash -q; echo y > new; git stash -qu; echo z > new",
            facts: ["untracked": "1"], holds: ["new": "z\n"]),
        RepositoryState(
            name: "untracked and ignored",
            script: base
                + "cd repo; printf '*.log\\n/data/\\n' > .gitignore; mkdir -p data new/dir; echo a > data/a; echo l > x.log; echo n > new/dir/n; mkdir empty",
            facts: ["untracked": "2"], holds: ["new/dir/n": "n\n"]),
        RepositoryState(
            name: "deleted", script: base + "cd repo; rm src/one.py; git rm -q --cached tool; rm -r src/deep",
            facts: ["deleted": "2"]),
        RepositoryState(
            name: "renamed", script: base + "cd repo; git mv README READ.me; mv src/one.py src/uno.py",
            facts: ["untracked": "1", "staged": "2"], holds: ["READ.me": "read\nmore\n", "src/uno.py": "one\n"]),
        RepositoryState(
            name: "changed in kind",
            script: base + "cd repo; rm README; mkdir README; echo f > README/f; rm link; echo l > link; chmod -x tool",
            facts: ["modified": "3"], holds: ["README/f": "f\n", "link": "l\n"]),
        RepositoryState(
            name: "odd names",
            script: base
                + #"cd repo; printf 1 > "$(printf 'new\nline')"; printf 2 > "$(printf 'b\377\376')"; printf 3 > ' lead'; printf 4 > -dash; printf 5 > 'q"t'"$(printf '\t')"; git add -- -dash"#,
            facts: ["untracked": "4", "staged": "1"], holds: ["-dash": "4", " lead": "3"]),
    ]

    private static let submodule = """
        git init -q sub; cd sub; echo '*.tmp' > .gitignore; echo s > s.py; git add .; git commit -qm sub; cd ..
        cd repo; git submodule -q add ../sub libs/sub; git commit -qm subs; cd ..

        """

    private static let places = [
        RepositoryState(name: "submodule", script: base + submodule, holds: ["libs/sub/s.py": "s\n"]),
        RepositoryState(
            name: "dirty submodule",
            script: base + submodule
                + "cd repo/libs/sub; echo x >> s.py; echo y > y; echo t > a.tmp; git checkout -q --detach",
            holds: ["libs/sub/s.py": "s\nx\n", "libs/sub/y": "y\n"]),
        RepositoryState(
            name: "submodule that is not initialised",
            script: base + submodule + "git clone -q repo other; rm -r repo; mv other repo"),
        RepositoryState(
            name: "linked worktree",
            script: base + "git -C repo worktree add -q ../tree -b other; echo x > tree/new", project: "tree",
            facts: ["linked": "true", "untracked": "1"], holds: ["new": "x\n"]),
        RepositoryState(
            name: "untracked repository inside",
            script: base
                + "cd repo; git init -q in; cd in; echo '*.o' > .gitignore; echo o > a.o; echo b > b; git add b; git commit -qm i",
            holds: ["in/b": "b\n"]),
        RepositoryState(
            name: "bare repository with a work tree",
            script:
                "git init -q --bare data.git; mkdir repo; echo 'gitdir: ../data.git' > repo/.git; cd data.git; git config core.bare false; git config core.worktree ../repo; cd ../repo; echo a > a; git add a; git commit -qm a; echo b > b",
            data: "data.git", facts: ["untracked": "1", "linked": "true"], holds: ["a": "a\n", "b": "b\n"]),
        RepositoryState(
            name: "work tree elsewhere",
            script: base + "mkdir other; echo o > other/o; cd repo; git config core.worktree ../../other; echo n > new",
            holds: ["new": "n\n", "README": "read\nmore\n"]),
    ]

    private static let clones = [
        RepositoryState(
            name: "shallow clone",
            script: base + #"git clone -q --depth 1 "file://$PWD/repo" c; rm -rf repo; mv c repo"#,
            facts: ["shallow": "true", "partial": "false"], holds: ["README": "read\nmore\n"]),
        RepositoryState(
            name: "partial clone",
            script: base
                + #"git -C repo config uploadpack.allowFilter true; git clone -q --filter=blob:none "file://$PWD/repo" c; mv repo away; mv c repo; rm -rf away; echo x > repo/README"#,
            facts: ["partial": "true", "modified": "1"], holds: ["README": "x\n"]),
        RepositoryState(
            name: "sparse checkout",
            script: base + "cd repo; git sparse-checkout set --cone src/deep; echo x > src/deep/new",
            facts: ["untracked": "1"], holds: ["src/deep/two.py": "two\n", "src/deep/new": "x\n"]),
    ]

    private static let conflicts = [
        RepositoryState(
            name: "merge with conflicts",
            script: base
                + "cd repo; git checkout -qb side HEAD~1; echo side > README; git commit -qam side; git checkout -q main; git merge -q side > /dev/null 2>&1 || true; test -f .git/MERGE_HEAD",
            facts: ["unmerged": "1"]),
        RepositoryState(
            name: "rebase with conflicts",
            script: base
                + "cd repo; git checkout -qb side HEAD~1; echo side > README; git commit -qam side; git rebase main > /dev/null 2>&1 || true; test -d .git/rebase-merge",
            facts: ["unmerged": "1"]),
        RepositoryState(
            name: "bisecting on a detached head",
            script: base + "cd repo; git bisect start -q HEAD HEAD~1 > /dev/null; git checkout -q --detach HEAD~1",
            holds: ["README": "read\n"]),
        RepositoryState(
            name: "before the first commit", script: "git init -q repo; echo a > repo/a", facts: ["untracked": "1"]),
        RepositoryState(
            name: "interrupted git", script: base + "cd repo; touch .git/index.lock; echo x > README",
            facts: ["modified": "1"],
            holds: ["README": "x\n"]),
    ]

    private static let settings = [
        RepositoryState(
            name: "assumed unchanged and skipped, modified all the same",
            script: base
                + "cd repo; git update-index --assume-unchanged README; git update-index --skip-worktree src/one.py; echo x > README; echo y > src/one.py",
            facts: ["assumed_unchanged": "1", "skip_worktree": "1", "modified": "0"],
            holds: ["README": "x\n", "src/one.py": "y\n"]),
        RepositoryState(
            name: "line ends and filters",
            script: base
                + "cd repo; git config core.autocrlf true; git config filter.up.clean 'tr a-z A-Z'; git config filter.up.smudge 'tr A-Z a-z'; echo '*.up filter=up' > .gitattributes; printf 'a\\r\\n' > crlf; echo low > f.up; git add . 2> /dev/null; git commit -qm f; rm f.up; git checkout -q f.up",
            facts: ["modified": "0"], holds: ["crlf": "a\r\n", "f.up": "low\r\n"]),
        RepositoryState(
            name: "LFS pointers",
            script: base
                + "cd repo; echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 9\\n' 7 > a.bin; git add .; git commit -qm p; echo content > b.bin; git add b.bin",
            facts: ["lfs.files": "2", "lfs.pointers": "1", "lfs.without_content": #"["a.bin"]"#]),
    ]
}
