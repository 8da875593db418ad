#!/usr/bin/env python3
"""What the processes of a mount take of memory: under `find` over a million files with the kernel's caches dropped, with
10,000 open files, and when the kernel forgets. Prints one line for each round; JSON with --json. Needs root.

`measure` is also what tools/benchmark_serving.py calls."""
import argparse, json, os, pathlib, resource, shutil, subprocess, sys, tempfile, time

LIMIT = 200 << 20  # bytes that a server may take


def generate(root, files, per_directory):
    """Files of about 100 bytes, made relative to an open directory: no path is walked a million times."""
    root = pathlib.Path(root)
    root.mkdir(parents=True)
    for start in range(0, files, per_directory):
        folder = root / f"d{start // per_directory:05}"
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(start, min(files, start + per_directory)):
            file = os.open(f"f{number:07}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=handle)
            os.write(file, b"%0100d" % number)
            os.close(file)
        os.close(handle)


def memory(pid):
    """Bytes resident now, of them not of files, and at most."""
    found = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon", "RssShmem", "VmHWM"):
                found[name] = int(value.split()[0]) << 10
    return found


def forget():
    """Drops the kernel's directory entries and inodes, and with them what it knows of the mount."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")


def walk(path):
    """Seconds that `find -printf` takes, and how much it finds."""
    began = time.monotonic()
    find = subprocess.run(["find", path, "-printf", "%p %s %i\n"], stdout=subprocess.PIPE, check=True)
    return time.monotonic() - began, find.stdout.count(b"\n")


def measure(dfs, environment, mount, versions, rounds=10, say=print):
    """Mounts, walks each of `versions` (names below the mount) `rounds` times, opens 10,000 files of the first,
    unmounts. Returns rows."""
    def run(*words):
        return subprocess.run([dfs, *words], env=environment, check=True, capture_output=True, text=True).stdout
    row = json.loads(run("mount", str(mount), "--json"))
    server, supervisor, rows = row["pid"], row["supervisor"], []

    def note(what, **more):
        rows.append({"what": what, **memory(server), **more})
        say(f"{what:44} {rows[-1]['VmRSS'] >> 20:5} MiB now, {rows[-1]['VmHWM'] >> 20:5} MiB at most"
            + "".join(f", {name} {value}" for name, value in more.items()))
    try:
        note("mounted")
        for version in versions:
            for number in range(rounds):
                forget()
                seconds, found = walk(mount / version)
                note(f"find {version}, round {number + 1}", files=found, seconds=round(seconds, 2))
        open_files(mount / versions[0], note)
        forget()
        note("forgotten")
        rows.append({"what": "supervisor", **memory(supervisor)})
        say(f"supervisor: {rows[-1]['VmRSS'] >> 20} MiB resident, {rows[-1]['RssAnon'] >> 10} KiB of its own")
    finally:
        run("umount", str(mount))
    return rows


def open_files(root, note, wanted=10_000):
    """Holds files open and reads each, then lets the kernel forget all others."""
    held = []
    try:
        for folder, _, files in os.walk(root):
            for name in files[:wanted - len(held)]:
                held.append(os.open(os.path.join(folder, name), os.O_RDONLY))
                os.pread(held[-1], 4096, 0)
            if len(held) == wanted:
                break
        note(f"{len(held)} open files")
        forget()
        for file in held:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.pread(file, 4096, 0)
        note(f"{len(held)} open files, read again")
    finally:
        for file in held:
            os.close(file)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dfs", default=str(pathlib.Path(__file__).resolve().parent.parent / ".build/release/dfs"))
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--scratch", help="where to work (default: a new folder below $TMPDIR)")
    parser.add_argument("--json", action="store_true")
    settings = parser.parse_args(arguments)
    limit = 20_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="dfs-daemon-", dir=settings.scratch))
    environment = {
        "HOME": str(scratch / "home"), "XDG_RUNTIME_DIR": str(scratch / "run"), "DFS_STORE": str(scratch / "store"),
        "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    say = (lambda text: print(text, file=sys.stderr, flush=True)) if settings.json else \
        (lambda text: print(text, flush=True))
    try:
        for folder in ("home", "run", "mount"):
            (scratch / folder).mkdir()
        subprocess.run([settings.dfs, "init"], env=environment, check=True, capture_output=True)
        for name, per_directory in (("thousands", 1000), ("one", settings.files)):
            generate(scratch / name, settings.files, per_directory)
            subprocess.run([settings.dfs, "commit", name, scratch / name, "--quiet"], env=environment, check=True)
        rows = measure(
            settings.dfs, environment, scratch / "mount", ["datasets/thousands/v1", "datasets/one/v1"],
            settings.rounds, say)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if settings.json:
        print(json.dumps(rows))
    worst = max(row["VmHWM"] for row in rows)
    say(f"{worst >> 20} MiB at most, {LIMIT >> 20} allowed")
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
