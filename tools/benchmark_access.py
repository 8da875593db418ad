#!/usr/bin/env python3
"""Measures what recording a run's accesses costs the run: the same job with and without, in interleaved rounds.

    tools/benchmark_access.py                  everything, as root: 2 GB of scratch, some minutes
    tools/benchmark_access.py --quick          the same on small sizes: shows that it works, proves nothing
    tools/benchmark_access.py --only sealed    one or more of: sealed, fuse

The job opens, reads and closes files of 10 KiB in a shuffled order, pass after pass (tools/reader.c), by one thread and
by two. Each run has a fresh mount, so that its first pass is that of the kernel's inodes; the packs are in the page
cache. A figure is the median of the rounds' ratios of speed, with the lowest and highest. "floor": recording may cost
40 % of the first pass and 5 % of the later ones where data is sealed. For FUSE the first pass with recording is read
file by file, as no neighbours are given to the kernel unasked; what that costs is printed. The record is checked: all
files, and no loss. Exit status: 0 measured (whatever the verdicts), 2 something could not be measured.
"""
import json
import random
import statistics
import sys

import measuring
from measuring import Failed, Workplace, write_many

PARTS = ["sealed", "fuse"]
PASSES = 4


class Access(Workplace):
    usual_rounds = 7

    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.count = 3000 if self.quick else 50_000
        source = scratch / "source"
        source.mkdir()
        self.project = scratch / "project"
        self.project.mkdir()
        chance = random.Random(5)
        names = [f"{number // 500:03}/{number:06}" for number in range(self.count)]
        for first in range(0, self.count, 500):
            folder = source / f"{first // 500:03}"
            folder.mkdir()
            write_many(folder, ((name[4:], chance.randbytes(10 << 10)) for name in names[first:first + 500]))
        chance.shuffle(names)
        (scratch / "list").write_bytes("\0".join(names).encode() + b"\0")
        (self.project / "job.sh").write_text('for pass in $(seq "$1"); do "$2" files "$DFS_DATA/bench" "$3" "$4"; done\n')
        self.environment["DFS_STORE"] = str(scratch / "store")
        self.run(self.program("dfs"), "init")
        self.run(self.program("dfs"), "commit", "bench", source)
        # Whatever is done once for an image is done before anything is timed.
        self.job("sealed", True, 1)

    def job(self, serve, records, threads):
        """One run; gives the seconds of each pass."""
        words = [self.program("dfs-run"), "--serve", serve, "--data", "bench"]
        words += [] if records else ["--no-access"]
        words += ["--", "sh", "job.sh", PASSES, self.reader(), self.scratch / "list", threads]
        output = self.run(*words, cwd=self.project, output=True)[2]
        passes = [line.split() for line in output.splitlines()]
        if len(passes) != PASSES or any(int(one[1]) != self.count for one in passes):
            raise Failed(f"the job printed {output[-300:]!r}")
        if records:
            self.check()
        return [int(one[0]) / 1e9 for one in passes]

    def check(self):
        shown = self.run(self.program("dfs"), "show", "run:latest", "--json", output=True)[2]
        access = json.loads(shown)["record"]["result"]["access"]
        if not access["complete"] or access["data"]["bench"]["opened"] != self.count:
            raise Failed(f"the record is not complete: {access}")

    def race(self, serve, threads):
        """Ratios of the speed with recording, of the first pass and of the median later one, round by round."""
        first, later, speeds = [], [], {True: [], False: []}
        for number in range(self.rounds):
            taken = {}
            for records in (False, True) if number % 2 == 0 else (True, False):
                taken[records] = self.job(serve, records, threads)
                speeds[records].append(self.count / taken[records][0])
            first.append(taken[False][0] / taken[True][0])
            later.append(statistics.median(taken[False][1:]) / statistics.median(taken[True][1:]))
        return first, later, {records: statistics.median(of) for records, of in speeds.items()}

    def ratio(self, name, ratios, floor=None):
        middle = statistics.median(ratios)
        self.figure(name, f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                    f"≥ {floor:.2f}" if floor else "", middle >= floor if floor else None)

    def measure(self, serve, floors=(None, None)):
        for threads in (1, 2):
            first, later, speeds = self.race(serve, threads)
            name = f"{serve}, {threads} thread{'s' if threads > 1 else ''}"
            self.ratio(f"{name}: first pass", first, floors[0])
            self.ratio(f"{name}: later passes", later, floors[1])
            self.figure(f"{name}: files per second of the first pass",
                        f"{speeds[False] / 1000:.0f} k off, {speeds[True] / 1000:.0f} k on")

    def part_sealed(self):
        self.measure("sealed", (0.60, 0.95))

    def part_fuse(self):
        self.measure("fuse")


if __name__ == "__main__":
    sys.exit(measuring.main(Access, PARTS, __doc__, 3e9))
