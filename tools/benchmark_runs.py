#!/usr/bin/env python3
"""What runs cost, and whether they are repeated as they were:

    tools/benchmark_runs.py [--quick] [--only job,stdout,digits] [--scratch DIR] [--json FILE]

job      a job that sleeps a minute: wall time and processor time that dfs-run adds, first time and again
stdout   4 GB of random bytes without a newline to standard output: the rate, and that no byte is lost
digits   scikit-learn's digits: run, rerun, outputs compared by digest; the virtual environment deleted and rerun; then new
         data, which `dfs validate` has to name as the cause in each of 20 trials; and a script that is not deterministic

digits installs scikit-learn from PyPI into a virtual environment. Exit status: 0 all floors met; 1 not; 2 cannot run."""
import json, os, shutil, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measuring import Failed, Workplace, main, milliseconds

TRAIN = """
import csv, hashlib, json, os, random, sys
import numpy
from sklearn.linear_model import LogisticRegression
seed = int(os.environ["DFS_SEED"])
if "--noise" in sys.argv:
    seed = int.from_bytes(os.urandom(4), "little")
rows = numpy.loadtxt(os.environ["DFS_DATA_DIGITS"] + "/digits.csv", delimiter=",")
chance = numpy.random.default_rng(seed)
order = chance.permutation(len(rows))
train, test = rows[order[: len(rows) * 4 // 5]], rows[order[len(rows) * 4 // 5 :]]
model = LogisticRegression(max_iter=200).fit(train[:, :-1] / 16, train[:, -1])
accuracy = model.score(test[:, :-1] / 16, test[:, -1])
numpy.save(os.environ["DFS_OUTPUTS"] + "/weights.npy", model.coef_)
with open(os.environ["DFS_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"accuracy": accuracy}) + "\\n")
print("accuracy", accuracy)
"""

PREPARE = """
import sys
import numpy
from sklearn.datasets import load_digits
digits = load_digits()
rows = numpy.column_stack([digits.data, digits.target])
trial = int(sys.argv[1])
if trial:
    # What arrives later: a part of the labels is wrong.
    chance = numpy.random.default_rng(trial)
    wrong = chance.choice(len(rows), len(rows) // 5, replace=False)
    rows[wrong, -1] = chance.integers(0, 10, len(wrong))
numpy.savetxt(sys.argv[2], rows, fmt="%d", delimiter=",")
"""


class Runs(Workplace):
    """One store, one project, and what is run in it."""

    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        # Everything on, as it is for a user.
        self.environment.pop("DFS_FREEZE_LIMIT", None)
        self.store, self.project = scratch / "store", scratch / "project"
        self.project.mkdir()
        self.dfs, self.launch = self.program("dfs"), self.program("dfs-run")
        self.run(self.dfs, "init", self.store)

    def timed(self, *command):
        """Wall seconds, and processor seconds of all processes that were waited for."""
        before = os.times()
        seconds = self.run(*command, store=self.store, cwd=self.project)[0]
        after = os.times()
        return seconds, sum(after[2:4]) - sum(before[2:4])

    def show(self, run="latest"):
        return json.loads(self.run(self.dfs, "show", run, "--json", store=self.store, output=True)[2])

    def part_job(self):
        length = 3 if self.quick else 60
        for when in ["first", "again"]:
            wall, cpu = self.timed(self.launch, "--", "sleep", str(length))
            self.figure(f"sleep {length}, {when}: wall time added", f"{wall - length:.2f} s", "<= 0.5 s",
                        wall - length <= 0.5)
            self.figure(f"sleep {length}, {when}: processor time", f"{cpu:.2f} s = {100 * cpu / wall:.2f} %", "<= 1 %",
                        cpu / wall <= 0.01 or self.quick)

    def part_stdout(self):
        size = (256 << 20) if self.quick else (4 << 30)
        source = self.scratch / "random"
        with open(source, "wb") as file:
            block = os.urandom(16 << 20)  # made once: what is measured is not the generator
            for _ in range(size // len(block)):
                file.write(block)
        self.settle()
        plain = self.seconds("sh", "-c", f"cat {source} > {self.scratch}/copy")
        self.remove(self.scratch / "copy")
        started = time.monotonic()
        self.run(self.launch, "--quiet", "--", "sh", "-c", f"date +%s.%N > $DFS_OUTPUTS/a; cat {source}; date +%s.%N > $DFS_OUTPUTS/b",
                 store=self.store, cwd=self.project)
        whole = time.monotonic() - started
        times = [float(self.run(self.dfs, "cat", f"run:latest/outputs/{name}", store=self.store, output=True)[2])
                 for name in "ab"]
        rate = size / (times[1] - times[0]) / 1e9
        self.figure("standard output: rate of the job", f"{rate:.2f} GB/s", ">= 1 GB/s", rate >= 1)
        self.figure("standard output: cat > file", f"{size / plain / 1e9:.2f} GB/s")
        self.figure("standard output: run to its end, sealed", f"{whole:.1f} s")
        wanted = self.run("sha256sum", source, output=True)[2].split()[0]
        found = self.run("sh", "-c", f"{self.dfs} cat run:latest/logs/stdout | sha256sum", store=self.store,
                         output=True)[2].split()[0]
        self.figure("standard output: every byte", "kept" if wanted == found else "LOST", "kept", wanted == found)
        source.unlink()

    # Digits

    def part_digits(self):
        venv = self.project / ".venv"
        self.run("python3", "-m", "venv", venv)
        self.run(venv / "bin/pip", "install", "-q", "scikit-learn")
        (self.project / "train.py").write_text(TRAIN)
        prepare = self.scratch / "prepare.py"
        prepare.write_text(PREPARE)
        data = self.scratch / "digits"
        data.mkdir()

        def commit(trial):
            self.run(venv / "bin/python", prepare, str(trial), data / "digits.csv")
            self.run(self.dfs, "commit", "digits", data, store=self.store)
        commit(0)
        (self.project / ".gitignore").write_text(".venv\n")
        command = [self.launch, "--data", "digits@v1", "--seed", "7", "--", venv / "bin/python", "train.py"]
        self.run(*command, store=self.store, cwd=self.project)
        first = self.show()["run"]
        self.await_environment(first)
        code = self.again(first, "--check")
        self.figure("digits: rerun, outputs by digest", "same" if code == 0 else f"exit {code}", "same", code == 0)
        self.freezing(first, command)
        away = self.scratch / "venv.away"
        venv.rename(away)
        code = self.again(first, "--check")
        away.rename(venv)
        self.figure("digits: rerun without the virtual environment", "same" if code == 0 else f"exit {code}", "same",
                    code == 0)
        trials = 2 if self.quick else 20
        named = 0
        for trial in range(1, trials + 1):
            commit(trial)
            verdict = self.validate(first, "--new-data", f"digits=digits@v{trial + 1}")
            named += verdict == (1, ["data"])
        self.figure(f"digits: data named as the cause, of {trials} trials", str(named), ">= 95 %", named >= trials * 0.95)
        self.run(*command, "--noise", store=self.store, cwd=self.project)
        code, causes = self.validate(self.show()["run"])
        self.figure("digits: a script with noise", f"exit {code} {causes}", "exit 3", code == 3)

    def again(self, run, *options):
        try:
            self.run(self.dfs, "rerun", run, *options, store=self.store)
            return 0
        except Failed as error:
            return str(error)[-300:]

    def validate(self, run, *options):
        text = self.run(self.dfs, "validate", run, *options, "--json", store=self.store, output=True, accept=(0, 1, 3))[2]
        verdict = json.loads(text)["verdict"]
        return {"confirmed": 0, "different": 1, "inconclusive": 3}[verdict["outcome"]], verdict["causes"]

    def await_environment(self, run):
        """Frozen in the background."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if self.run(self.dfs, "ls", f"run:{run}/env", store=self.store, accept=(0, 11), output=True)[2]:
                return
            time.sleep(0.1)
        raise Failed("the environment was not frozen within five minutes")

    def freezing(self, first, command):
        before = sum(f.stat().st_size for f in (self.store / "packs").rglob("*.pack"))
        self.run(*command, store=self.store, cwd=self.project)
        started = time.monotonic()
        second = self.show()["run"]
        self.await_environment(second)
        seconds = time.monotonic() - started
        after = sum(f.stat().st_size for f in (self.store / "packs").rglob("*.pack"))
        self.figure("digits: stored by the second run, environment and all", f"{100 * (after - before) / before:.2f} %",
                    "< 1 %", (after - before) < 0.01 * before)
        self.figure("digits: second environment after the run's end", f"{seconds:.2f} s", "< 1 s", seconds < 1)


if __name__ == "__main__":
    sys.exit(main(Runs, ["job", "stdout", "digits"], __doc__, 12e9))
