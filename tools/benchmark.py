#!/usr/bin/env python3
"""Measures this build against the tools that the machine has, in one run, and prints a table.

    tools/benchmark.py                everything: some 20 GB of scratch, up to an hour
    tools/benchmark.py --quick        the same on small sizes: shows that it works, proves nothing
    tools/benchmark.py --only usr,cli one or more of: commit, file, usr, cli, mount, run, start

Rounds are interleaved, so that what disturbs one contestant disturbs the others; figures are medians. HASH is openssl's
SHA-256 over the same files (two processes; one for a single file), DISK is dd with conv=fsync of as many bytes. Sources
are in the page cache. Programs are taken from .build/release, or from PATH. Store, sources and copies lie on one file
system, under --scratch; all of it is removed at the end, and nothing outside is written. Exit status: 0 measured
(whatever the verdicts), 2 something could not be measured.
"""
import contextlib
import json
import os
import random
import shutil
import stat
import statistics
import subprocess
import sys
import time
from pathlib import Path

import measuring
from measuring import MIB, Failed, Workplace, disk_bytes, flatten, make_files, milliseconds, write_random

PARTS = ["commit", "file", "usr", "cli", "mount", "run", "start"]


class Bench(Workplace):
    """Commits, mounts and runs, and the yardsticks beside them."""

    peak_allowed = 256

    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.mounted = set()
        self.dfs, self.dfs_run = (self.program(name) for name in ("dfs", "dfs-run"))

    def close(self):
        for point in list(self.mounted):
            self.unmount(point)

    def finish(self):
        if self.peak:
            self.figure("peak memory of a commit", f"{self.peak / 1024:.0f} MiB", f"≤ {self.peak_allowed} MiB",
                        self.peak <= self.peak_allowed * 1024)
        return False

    # Contestants

    def hash(self, source, processes):
        names = self.scratch / "names"
        if not names.exists() or names.read_bytes() == b"":
            raise Failed("no names to hash")
        command = f"xargs -0 -P{processes} -n 500 openssl dgst -sha256 < '{names}' > /dev/null"
        return self.seconds("sh", "-c", command, cwd=source)

    def names(self, source):
        """Lists the regular files of SOURCE for hash(), and caches them; gives their number and bytes."""
        count = total = 0
        with open(self.scratch / "names", "wb") as names:
            root = len(os.fsencode(source)) + 1
            for folder, _, files in os.walk(os.fsencode(source)):
                for name in files:
                    path = os.path.join(folder, name)
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode):
                        names.write(b"./" + path[root:] + b"\0")
                        count, total = count + 1, total + status.st_size
        self.hash(source, 2)
        return count, total

    def disk(self, size):
        """dd of SIZE incompressible bytes, out of the page cache."""
        pattern, target = self.scratch / "pattern", self.scratch / "written"
        if not pattern.exists():
            write_random(pattern, 256 * MIB)
            subprocess.run(["cat", pattern], stdout=subprocess.DEVNULL, check=True)
        whole, rest = divmod(size, 256 * MIB)
        write = f"dd if='{pattern}' of='{target}' bs=1M oflag=seek_bytes iflag=count_bytes status=none"
        command = "; ".join([f"{write} conv=notrunc seek={number * 256 * MIB}" for number in range(whole)]
                            + [f"{write} conv=notrunc,fsync seek={whole * 256 * MIB} count={rest}"])
        self.settle()
        seconds = self.seconds("sh", "-c", command)
        self.remove(target)
        return seconds

    def copy(self, source):
        target = self.scratch / "copied"
        self.settle()
        seconds = self.seconds("sh", "-c", f"cp -r '{source}' '{target}' && sync -f '{target}'", accept=(0, 1))
        subprocess.run(["chmod", "-R", "u+rwX", target], check=False)
        self.remove(target)
        return seconds

    def new_store(self, name):
        store = self.scratch / name
        if store.exists():
            self.remove(store)
        shutil.rmtree(self.scratch / "home", ignore_errors=True)
        self.run(self.dfs, "init", store)
        self.settle()
        return store

    def commit(self, store, name, source):
        seconds, peak, _ = self.run(self.dfs, "commit", name, source, store=store)
        self.peak = max(self.peak, peak)
        return seconds

    # Figures

    def first_commit(self, title, name, source, floor, processes, against_copy=True, judged=True):
        """First commits, each into a new store; the last store is left for what comes after."""
        count, size = self.names(source)
        times = {"HASH": [], "DISK": [], "cp -r + sync": [], "commit": []}
        for _ in range(self.rounds):
            times["HASH"].append(self.hash(source, processes))
            times["DISK"].append(self.disk(size))
            if against_copy:
                times["cp -r + sync"].append(self.copy(source))
            store = self.new_store(f"store-{name}")
            times["commit"].append(self.commit(store, name, source))
        rate = {key: size / MIB / statistics.median(value) for key, value in times.items() if value}
        for key, value in rate.items():
            self.figure(f"{title}, {count:,} files, {size / 1e9:.2f} GB: {key}", f"{value:.0f} MiB/s")
        slower = min(rate["HASH"], rate["DISK"])
        ratio = rate["commit"] / slower
        which = "HASH" if slower == rate["HASH"] else "DISK"
        self.figure(f"{title}: commit / lower of HASH and DISK ({which})", f"{ratio:.2f}",
                    f"≥ {floor}" if judged else "", ratio >= floor if judged else None)
        if against_copy:
            faster = rate["commit"] / rate["cp -r + sync"]
            self.figure(f"{title}: commit / cp -r + sync", f"{faster:.2f}", "> 1" if judged else "",
                        faster > 1 if judged else None)
        return store

    def unchanged(self, title, name, source, store, judged=True):
        """The same tree again; as many rounds as make a median of something so short."""
        find, again = [], []
        self.commit(store, name, source)
        for _ in range(max(5, self.rounds)):
            find.append(self.seconds("find", source, "-printf", r"%s %T@\n"))
            again.append(self.commit(store, name, source))
        ratio = statistics.median(again) / statistics.median(find)
        self.figure(f"{title}, unchanged: commit, find", f"{milliseconds(again)}, {milliseconds(find)}")
        self.figure(f"{title}, unchanged: commit / find -printf", f"{ratio:.2f}", "≤ 2" if judged else "",
                    ratio <= 2 if judged else None)

    def part_commit(self):
        source = self.scratch / "many"
        make_files(source, 400 if self.quick else 20_000, lambda chance: chance.randrange(90_000, 110_000))
        store = self.first_commit("many files", "many", source, 0.5, 2)
        self.unchanged("many files", "many", source, store)
        self.remove(store)
        self.remove(source)

    def part_file(self):
        source = self.scratch / "one"
        source.mkdir()
        write_random(source / "file", (64 if self.quick else 2048) * MIB)
        self.remove(self.first_commit("one file", "one", source, 0.4, 1, against_copy=False))
        self.remove(source)

    def part_usr(self):
        source = Path("/usr/include" if self.quick else "/usr")
        store = self.first_commit(str(source), "usr", source, 0.5, 2, judged=False)
        self.unchanged(str(source), "usr", source, store, judged=False)
        self.remove(store)

    def part_cli(self):
        source = self.scratch / "little"
        make_files(source, 20, lambda chance: 1000)
        store = self.new_store("store-cli")
        for number in range(5):
            (source / "number").write_text(str(number))
            self.commit(store, "little", source)
        for words in (["log"], ["log", "little"], ["--help"]):
            times = []
            for _ in range(20):
                times.append(self.seconds(self.dfs, *words, store=store))
            self.figure(f"dfs {' '.join(words)}", milliseconds(times), "≤ 30 ms", statistics.median(times) <= 0.030)
        self.remove(store)
        self.remove(source)

    # The mount

    @contextlib.contextmanager
    def mount(self, store):
        point = self.scratch / "mnt"
        point.mkdir(exist_ok=True)
        self.run(self.dfs, "mount", "--serve", "stateless", point, store=store)
        self.mounted.add(point)
        try:
            yield point
        finally:
            self.unmount(point, store)

    def unmount(self, point, store=None):
        with contextlib.suppress(Failed):
            self.run(self.dfs, "umount", point, store=store)
        if os.path.ismount(point):
            subprocess.run(["fusermount3", "-u", "-z", point], check=False)
        self.mounted.discard(point)

    def daemon(self, point, store):
        """The process that serves a mount, from `dfs mounts --json`: one object a line."""
        text = self.run(self.dfs, "mounts", "--json", store=store, output=True)[2]
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
        for mount in found:
            if "pid" in mount and str(point) in mount.values():
                return mount["pid"]
        raise Failed(f"dfs mounts --json has no pid of {point}: {text[:300]}")

    def requests(self, point):
        return flatten(json.loads((point / ".dfs" / "stats").read_text()))

    def passed(self, point, action):
        """What ACTION gives, and the requests in it by kind: what reading the counters itself costs is taken off."""
        first, idle, before = (self.requests(point) for _ in range(3))
        result = action()
        after = self.requests(point)
        cost = {name: max(idle[name] - first.get(name, 0), before[name] - idle[name]) for name in before}
        grown = {name: after[name] - before.get(name, 0) - cost.get(name, 0) for name in after}
        kinds = {name: number for name, number in grown.items() if number > 0 and is_request(name)}
        return result, kinds

    def part_mount(self):
        count = 1000 if self.quick else 50_000
        source, tiny = self.scratch / "small", self.scratch / "tiny"
        make_files(source, count, lambda chance: 10_240)
        make_files(tiny, count // 5, lambda chance: 100)
        store = self.new_store("store-mount")
        self.commit(store, "small", source)
        self.commit(store, "tiny", tiny)
        reader = self.reader()
        names = [os.path.relpath(os.path.join(folder, name), source)
                 for folder, _, files in os.walk(source) for name in files]
        chance, order = random.Random(1), self.scratch / "order"

        def read(root):
            nanoseconds, _, total, _ = self.run(reader, "files", root, order, 1, output=True)[2].split()
            if int(total) != count * 10_240:
                raise Failed(f"reading {root} gave {total} bytes")
            return int(nanoseconds) / 1e9

        def shuffle():
            chance.shuffle(names)
            order.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in names))

        with self.mount(store) as point:
            served = point / "datasets" / "small" / "v1"
            if self.options.cold:
                for title, root in (("native", source), ("mount", served)):
                    shuffle()
                    self.settle()
                    Path("/proc/sys/vm/drop_caches").write_text("3\n")
                    self.figure(f"cold pass, {title}", f"{count / read(root):,.0f} files/s")
            shuffle()
            first = read(served)
            read(source)
            native, mounted, passes = [], [], []
            for _ in range(max(7, self.rounds)):
                shuffle()
                native.append(read(source))
                shuffle()
                seconds, grown = self.passed(point, lambda: read(served))
                mounted.append(seconds)
                passes.append(sum(grown.values()))
            rate = {name: count / statistics.median(times) for name, times in (("native", native), ("mount", mounted))}
            self.figure(f"{count:,} files of 10 KiB, stateless, first pass", f"{count / first:,.0f} files/s")
            self.figure("second pass, mount and native", f"{rate['mount']:,.0f} and {rate['native']:,.0f} files/s")
            ratio = rate["mount"] / rate["native"]
            self.figure("second pass, mount / native", f"{ratio:.2f}", "≥ 0.8", ratio >= 0.8)
            # The kernel may drop pages by itself (DAMON does, on a busy machine), which costs a pass some requests.
            self.figure("requests to the daemon in a second pass: each pass", ", ".join(map(str, passes)))
            self.figure("requests to the daemon in a second pass: median", f"{statistics.median(passes):.0f}", "0",
                        statistics.median(passes) == 0)
        with self.mount(store) as point:
            walked = self.run("find", *(point / "datasets" / name / "v1" for name in ("small", "tiny")), "-type", "f",
                              "-printf", "%s\n", store=store, output=True)[2].count("\n")
            if walked != count + count // 5:
                raise Failed(f"the walk found {walked} files")
            status = Path(f"/proc/{self.daemon(point, store)}/status").read_text()
            peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024
            self.figure(f"daemon's memory after a walk of {walked:,} files", f"{peak:.0f} MiB", "≤ 150 MiB",
                        peak <= 150)
        for path in (store, source, tiny):
            self.remove(path)

    # Runs

    def project(self, name, count, size):
        project = self.scratch / name
        make_files(project, count, lambda chance: size)
        git = ["git", "-c", "core.compression=0", "-c", "user.name=b", "-c", "user.email=b@example.org",
               "-c", "gc.auto=0"]
        self.run("git", "init", "-q", cwd=project)
        self.run(*git, "add", "-A", cwd=project)
        self.run(*git, "commit", "-q", "-m", "a project", cwd=project)
        self.settle()
        return project

    def part_run(self):
        count = 100 if self.quick else 1000
        project = self.project("project", count, 2000)
        store = self.new_store("store-run")
        self.run(self.dfs_run, "--", "true", store=store, cwd=project)
        bare, launched = [], []
        for _ in range(max(10, self.rounds)):
            bare.append(self.seconds("true", cwd=project))
            launched.append(self.seconds(self.dfs_run, "--", "true", store=store, cwd=project))
        over = statistics.median(launched) - statistics.median(bare)
        self.figure(f"dfs-run -- true over true, captured project of {count:,} files", f"{over * 1000:.0f} ms",
                    "≤ 150 ms", over <= 0.150)
        self.remove(store)
        self.remove(project)

    def part_start(self):
        count = 500 if self.quick else 50_000
        project = self.project("large", count, 100_000)
        store = self.new_store("store-start")
        self.run(self.dfs_run, "--", "true", store=store, cwd=project)
        self.settle()
        started, whole, grown = [], [], []
        for _ in range(max(5, self.rounds)):
            before, start = disk_bytes(store), time.time()
            seconds, _, output = self.run(self.dfs_run, "--", "date", "+%s.%N", store=store, cwd=project, output=True)
            stamp = [line for line in output.splitlines() if line.replace(".", "", 1).isdigit()]
            if not stamp:
                raise Failed(f"dfs-run did not pass on what its command printed: {output[:200]!r}")
            started.append(float(stamp[-1]) - start)
            whole.append(seconds)
            grown.append(disk_bytes(store) - before)
        title = f"start in a captured project of {count:,} files, {count * 100_000 / 1e9:.1f} GB"
        self.figure(f"{title}: until the command runs", milliseconds(started), "≤ 600 ms",
                    statistics.median(started) <= 0.600)
        self.figure(f"{title}: the whole run of `date`", milliseconds(whole))
        self.figure(f"{title}: new store bytes", f"{max(grown) / 1e6:.2f} MB", "≤ 10 MB", max(grown) <= 10e6)
        self.remove(store)
        self.remove(project)


def is_request(name):
    """Whether a counter counts what the kernel asked: times, bytes and gauges do not."""
    word = name.rsplit(".", 1)[-1].lower()
    return not any(part in word for part in ("byte", "second", "time", "uptime", "memory", "pid", "node", "version"))


def arguments(parser):
    parser.add_argument("--cold", action="store_true", help="also a cold pass of the mount: drops the machine's caches")


if __name__ == "__main__":
    sys.exit(measuring.main(Bench, PARTS, __doc__, 22e9, arguments))
