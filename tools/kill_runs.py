#!/usr/bin/env python3
"""Kills runs at random moments, and looks whether anything is lost that the job had written.

    tools/kill_runs.py [--programs DIR] [--runs 100] [--seed N]

Each run counts into its logs, an output and a working file, and says in a side file how far it is, all without syncing. After a
random time SIGKILL goes to the launcher, the job, both, or the whole process group. Then every run must be recorded as
interrupted, with every line that the side file vouches for. Needs no root; with root the runs have views of their own.
Exit status: 0 nothing lost; 1 something."""
import argparse, collections, json, os, pathlib, random, shutil, signal, subprocess, sys, tempfile, time

COUNTING = """
echo $$ > "$1/pid"
i=0
while :; do
    i=$((i + 1))
    echo line $i
    echo line $i >&2
    echo line $i >> $DFS_OUTPUTS/counted
    echo line $i >> counted
    echo $i >> "$1/side"
done
"""
FILES = ["outputs/counted", "work/counted", "logs/stdout", "logs/stderr"]
VICTIMS = ["launcher", "job", "both", "group"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", default=".build/release", help="where dfs and dfs-run are")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    programs = pathlib.Path(options.programs).resolve()
    chance = random.Random(options.seed)
    base = pathlib.Path(tempfile.mkdtemp(prefix="dfs-kill-"))
    environment = {**os.environ, "HOME": str(base / "home"), "DFS_STORE": str(base / "store"), "DFS_VIEW_LINGER": "0",
                   "XDG_CONFIG_HOME": str(base / "config"), "XDG_CACHE_HOME": str(base / "cache"),
                   "XDG_DATA_HOME": str(base / "data")}
    for name in ["home", "project", "sides"]:
        (base / name).mkdir()
    (base / "project/count.sh").write_text(COUNTING)

    def dfs(*arguments):
        return subprocess.run([programs / "dfs", *arguments], env=environment, cwd=base / "home", text=True,
                              capture_output=True)

    reached, tally = [], collections.Counter()
    try:
        dfs("init")
        for number in range(options.runs):
            side = base / f"sides/{number}"
            side.mkdir()
            victim = chance.choice(VICTIMS)
            run = subprocess.Popen(
                [programs / "dfs-run", "--tag", f"kill{number}", "--", "sh", "count.sh", side], env=environment,
                cwd=base / "project", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            while not (side / "side").exists():
                if run.poll() is not None:
                    sys.exit(f"run {number} ended by itself with {run.returncode}")
                time.sleep(0.002)
            time.sleep(chance.random() * 0.5)
            job = int((side / "pid").read_text())
            if victim == "group":
                os.killpg(run.pid, signal.SIGKILL)
            if victim in ("launcher", "both"):
                os.kill(run.pid, signal.SIGKILL)
            if victim in ("job", "both"):
                try:
                    os.kill(job, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it has died with its launcher
            run.wait()
            deadline = time.monotonic() + 20
            while pathlib.Path(f"/proc/{job}").exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            lines = (side / "side").read_text().split("\n")[:-1]
            reached.append(int(lines[-1]) if lines else 0)
            tally[victim] += 1
        runs = {tag: run for line in dfs("runs", "--json").stdout.splitlines() for run in [json.loads(line)]
                for tag in run["tags"]}
        lost = []
        for number, count in enumerate(reached):
            run = runs.get(f"kill{number}")
            if run is None or run["status"] != "interrupted":
                lost.append(f"run {number}: {run and run['status']}")
                continue
            for name in FILES:
                found = dfs("cat", f"run:{run['run']}/{name}").stdout.split("\n")[:count]
                if found != [f"line {i}" for i in range(1, count + 1)]:
                    lost.append(f"run {number}: {name} has {len(found)} of {count} lines")
        check = dfs("verify", "--data")
        if check.returncode:
            lost.append(check.stdout + check.stderr)
        left = os.listdir(base / "store/live")
        if left:
            lost.append(f"left under live/: {left}")
        kinds = ", ".join(f"{count} x {victim}" for victim, count in sorted(tally.items()))
        print(f"{options.runs} runs killed ({kinds}); {sum(reached)} lines written before the kills; {len(lost)} losses")
        for it in lost:
            print(it)
        return 1 if lost else 0
    finally:
        shutil.rmtree(base, ignore_errors=True)


sys.exit(main())
