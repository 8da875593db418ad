#!/usr/bin/env python3
"""Measures history at scale: many files, long directories, large shards, long histories, and peers beside.

    tools/benchmark_scale.py                everything: some 60 GB of scratch, hours with all peers
    tools/benchmark_scale.py --quick        the same on small sizes: shows that it works, proves nothing
    tools/benchmark_scale.py --only many    one or more of: many, flat, shards, versions, entries, peers

Interleaved rounds, medians; sync included for every tool. restic and borg are measured where they are on PATH (Debian's
packages restic, borgbackup), DVC where `dvc` is (PyPI); a peer that is not there is named as not measured. Sources are in
the page cache unless a figure says cold, for which the machine's caches are dropped (root). HASH: openssl's SHA-256 over the
same files, two processes; DISK: dd with conv=fsync of as many bytes. See tools/benchmark.py for the rest.
"""
import os
import random
import shutil
import statistics
import subprocess
import sys

import benchmark
import measuring
from benchmark import Bench
from measuring import MIB, disk_bytes, make_files, milliseconds, write_many, write_random

PARTS = ["many", "flat", "shards", "versions", "entries", "peers"]


class Peer:
    """Another tool, with a repository of its own. `once` is done before each first commit, untimed."""

    def __init__(self, bench, name):
        self.bench, self.name, self.place = bench, name, bench.scratch / f"peer-{name}"

    def fresh(self, source):
        if self.place.exists():
            self.bench.remove(self.place)
        shutil.rmtree(self.bench.scratch / "peer-home", ignore_errors=True)
        if self.name == "restic":
            self.run("restic", "-q", "-r", self.place, "init")
        elif self.name == "borg":
            self.run("borg", "init", "--encryption=none", self.place)
        else:
            self.place.mkdir()
            self.run("dvc", "init", "-q", "--no-scm", cwd=self.place)
            # DVC versions what lies in its project: the data are linked there as its users' would lie.
            subprocess.run(["cp", "-rl", source, self.place / "data"], check=True)
            self.run("dvc", "config", "core.analytics", "false", cwd=self.place)

    def commit(self, source):
        if self.name == "restic":
            return self.run("restic", "-q", "-r", self.place, "backup", "--compression", "off", source)
        if self.name == "borg":
            number = f"{random.getrandbits(40):x}"
            return self.run("borg", "create", "-C", "none", f"{self.place}::{number}", source)
        if (self.place / "data").exists():
            # What changed in the source changes here: the files are the same or replaced.
            subprocess.run(["cp", "-ru", "--remove-destination", f"{source}/.", self.place / "data"], check=True)
        return self.run("dvc", "add", "-q", "data", cwd=self.place)

    def check(self):
        return self.run("restic", "-q", "-r", self.place, "check", "--read-data")

    def restore(self, target):
        return self.run("restic", "-q", "-r", self.place, "restore", "latest", "--target", target)

    def run(self, *command, cwd=None):
        home = self.bench.scratch / "peer-home"
        home.mkdir(exist_ok=True)
        saved = self.bench.environment
        self.bench.environment = dict(
            saved, RESTIC_PASSWORD="benchmark", HOME=str(home), XDG_CACHE_HOME=str(home), DVC_NO_ANALYTICS="1",
            BORG_BASE_DIR=str(home), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
            BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        try:
            words = " ".join(f"'{word}'" for word in command)
            return self.bench.seconds("sh", "-c", f"{words} && sync -f '{self.bench.scratch}'", cwd=cwd)
        finally:
            self.bench.environment = saved


class Scale(Bench):
    peak_allowed = 512

    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.peers = [Peer(self, name) for name in ("restic", "borg", "dvc") if shutil.which(name)]
        for name in {"restic", "borg", "dvc"} - {peer.name for peer in self.peers}:
            print(f"{name} is not on PATH: not measured", file=sys.stderr)

    # Yardsticks

    def timed_sync(self, *command, store=None, accept=(0,)):
        words = " ".join(f"'{word}'" for word in command)
        return self.seconds("sh", "-c", f"{words} > /dev/null; code=$?; sync -f '{self.scratch}'; exit $code",
                            store=store, accept=accept)

    def ratio(self, title, ratio, floor, at_least=True):
        self.figure(title, f"{ratio:.2f}", f"{'≥' if at_least else '≤'} {floor}",
                    ratio >= floor if at_least else ratio <= floor)

    def limit(self, title, value, limit, unit):
        self.figure(title, f"{value:.{1 if value < 100 else 0}f} {unit}", f"≤ {limit} {unit}", value <= limit)

    def side_by_side(self, title, source, change, rounds, peers):
        """First, unchanged and changed commit of this tool and of PEERS, and of cp and tar; gives the times."""
        count, size = self.names(source)
        peers = [peer for peer in self.peers if peer.name in peers]
        times = {}

        def note(who, what, seconds):
            times.setdefault((who, what), []).append(seconds)

        store = None
        for number in range(rounds):
            note("HASH", "first", self.hash(source, 2))
            note("DISK", "first", self.disk(size))
            note("tar | cat", "first", self.seconds("sh", "-c", f"tar c '{source}' | cat > /dev/null"))
            note("cp -r + sync", "first", self.copy(source))
            store = self.new_store("store-scale")
            self.settle()
            seconds, peak, _ = self.run(self.dfs, "commit", "it", source, store=store)
            self.peak = max(self.peak, peak)
            note("dfs", "first", seconds + self.seconds("sync", "-f", self.scratch))
            for _ in range(3):
                note("find", "unchanged", self.seconds("find", source, "-printf", r"%s %T@\n"))
                note("dfs", "unchanged", self.timed_sync(self.dfs, "commit", "it", source, store=store))
                note("status", "unchanged", self.seconds(self.dfs, "status", "it", source, store=store))
            if number == 0:
                for peer in peers:
                    peer.fresh(source)
                    self.settle()
                    note(peer.name, "first", peer.commit(source))
                    note(peer.name, "unchanged", peer.commit(source))
            before = disk_bytes(store)
            change(number)
            note("dfs", "changed", self.timed_sync(self.dfs, "commit", "it", source, store=store))
            note("added", "changed", disk_bytes(store) - before)
            if number == 0:
                for peer in peers:
                    note(peer.name, "changed", peer.commit(source))
        middle = {key: statistics.median(value) for key, value in times.items()}
        for (who, what), value in sorted(middle.items(), key=lambda item: (item[0][1], item[0][0])):
            if who != "added":
                rate = f", {count / value:,.0f} files/s, {size / MIB / value:,.0f} MiB/s" if what == "first" else ""
                self.figure(f"{title}, {what} commit: {who}", f"{value:.2f} s{rate}")
        for peer in peers:
            for what in ("first", "unchanged", "changed"):
                ratio = middle[(peer.name, what)] / middle[("dfs", what)]
                floor = 5 if (peer.name, what) == ("restic", "first") else 1
                self.ratio(f"{title}, {what}: {peer.name}'s time / dfs", ratio, floor)
        return store, count, size, middle

    # Parts

    def part_many(self):
        folders, each, size = (20, 100, 3000) if self.quick else (1000, 1000, 3000)
        source = self.scratch / "many"
        chance = random.Random(1)
        for number in range(folders):
            folder = source / f"{number:04}"
            folder.mkdir(parents=True)
            block = chance.randbytes(size * each)
            write_many(folder, ((f"{j:05}.bin", block[j * size:(j + 1) * size]) for j in range(each)))
        title = f"{folders * each:,} files of 3 KB"

        def change(number):
            for j in range(100 if not self.quick else 10):
                path = source / f"{(j * 7 + number) % folders:04}" / f"{(j * 13 + number) % each:05}.bin"
                path.write_bytes(os.urandom(size))

        store, count, total, middle = self.side_by_side(title, source, change, self.rounds, ["restic"])
        self.ratio(f"{title}: cp -r + sync / commit", middle["cp -r + sync", "first"] / middle["dfs", "first"], 1.5)
        self.ratio(f"{title}: tar | cat / commit", middle["tar | cat", "first"] / middle["dfs", "first"], 0.4)
        self.ratio(f"{title}, unchanged: commit / find", middle["dfs", "unchanged"] / middle["find", "unchanged"], 2,
                   at_least=False)
        self.ratio(f"{title}, unchanged: status / find", middle["status", "unchanged"] / middle["find", "unchanged"],
                   2, at_least=False)
        self.limit(f"{title}, 100 changed: commit - unchanged commit",
                   middle["dfs", "changed"] - middle["dfs", "unchanged"], 1, "s")
        self.limit(f"{title}, 100 changed: new in the store", middle["added", "changed"] / 1e6, 5, "MB")
        self.cold(title, source, store)
        self.compare(title, store, "it@latest~1", "it@latest", "0007")
        self.checked(title, store, source, total)
        fresh = self.new_store("store-fresh")
        self.run(self.dfs, "commit", "it", source, store=fresh)
        self.figure(f"{title}: store / bytes", f"{disk_bytes(fresh) / total:.3f}", "≤ 1.15",
                    disk_bytes(fresh) <= 1.15 * total)
        files = sum(len(names) for _, _, names in os.walk(fresh))
        self.figure(f"{title}: files in the store", str(files), "≤ 200", files <= 200)
        self.remove(fresh)
        self.remove(store)
        self.remove(source)

    def cold(self, title, source, store):
        find, again, status = [], [], []
        for _ in range(1 if self.quick else 3):
            for times, command in ((find, ("find", source, "-printf", r"%s %T@\n")),
                                   (again, (self.dfs, "commit", "it", source)),
                                   (status, (self.dfs, "status", "it", source))):
                self.drop_caches()
                times.append(self.seconds(*command, store=store))
        for name, times in (("commit", again), ("status", status)):
            self.ratio(f"{title}, unchanged, cold: {name} / find",
                       statistics.median(times) / statistics.median(find), 2, at_least=False)
        self.names(source)

    def compare(self, title, store, old, new, folder):
        diff, listing = [], []
        for _ in range(7):
            diff.append(self.seconds(self.dfs, "diff", old, new, store=store, accept=(0, 1)))
            listing.append(self.seconds(self.dfs, "ls", f"it@v1/{folder}" if folder else "it@v1", store=store))
        self.limit(f"{title}: diff of two versions", statistics.median(diff) * 1000, 50, "ms")
        if folder:
            self.limit(f"{title}: ls of a directory of v1", statistics.median(listing) * 1000, 50, "ms")
        else:
            self.figure(f"{title}: ls", milliseconds(listing))

    def checked(self, title, store, source, total):
        """verify --data beside HASH and restic's check, export beside cp -r and restic's restore."""
        times = {key: [] for key in ("HASH", "verify", "cp", "export")}
        target = self.scratch / "exported"
        for _ in range(self.rounds):
            times["HASH"].append(self.hash(source, 2))
            times["verify"].append(self.seconds(self.dfs, "verify", "--data", store=store))
            times["cp"].append(self.copy(source))
            self.settle()
            times["export"].append(self.timed_sync(self.dfs, "export", "it", target, store=store))
            self.remove(target)
        middle = {key: statistics.median(value) for key, value in times.items()}
        held = disk_bytes(store)
        self.figure(f"{title}: verify --data", f"{middle['verify']:.2f} s, {held / MIB / middle['verify']:.0f} MiB/s")
        self.ratio(f"{title}: verify --data / HASH, by bytes",
                   held / middle["verify"] / (total / middle["HASH"]), 0.7)
        self.ratio(f"{title}: cp -r + sync / export", middle["cp"] / middle["export"], 1)
        restic = next((peer for peer in self.peers if peer.name == "restic"), None)
        if restic:
            self.ratio(f"{title}: restic check --read-data / verify --data", restic.check() / middle["verify"], 5)
            self.settle()
            self.ratio(f"{title}: restic restore / export", restic.restore(target) / middle["export"], 5)
            self.remove(target)

    def part_peers(self):
        """All peers on trees that the slowest of them finishes: 1 % of many small files, and of large ones, changes."""
        count = 2_000 if self.quick else 50_000
        source = self.scratch / "small"
        make_files(source, count, lambda chance: 3000)

        def replace(number):
            for j in range(0, count, 100):
                (source / f"{j // 500:03}" / f"{j:06}.bin").write_bytes(os.urandom(3000))

        self.side_by_side(f"{count:,} files of 3 KB, 1 % changed", source, replace, self.rounds,
                          ["restic", "borg", "dvc"])
        self.remove(source)
        number, size = (2, 8 << 20) if self.quick else (16, 64 << 20)
        source = self.scratch / "large"
        source.mkdir()
        for i in range(number):
            write_random(source / f"shard{i:03}", size)

        def overwrite(turn):
            for path in source.iterdir():
                with open(path, "r+b") as file:
                    file.seek(size // 2 + turn)
                    file.write(os.urandom(size // 100))

        self.side_by_side(f"{number} shards of {size // MIB} MiB, 1 % overwritten", source, overwrite, self.rounds,
                          ["restic", "borg", "dvc"])
        self.remove(source)

    def part_flat(self):
        count = 20_000 if self.quick else 1_000_000
        source = self.scratch / "flat"
        source.mkdir()
        write_many(source, ((f"x{number:07}.txt", b"%d\n" % number) for number in range(count)))
        store = self.new_store("store-flat")
        title = f"one directory of {count:,}"
        seconds, peak, _ = self.run(self.dfs, "commit", "it", source, store=store)
        self.figure(f"{title}: first commit", f"{seconds:.2f} s, peak {peak / 1024:.0f} MiB")
        times, added = [], []
        for number in range(max(3, self.rounds)):
            (source / f"x{number * 7919 % count:07}.txt").unlink()
            before = disk_bytes(store)
            times.append(self.seconds(self.dfs, "commit", "it", source, store=store))
            added.append(disk_bytes(store) - before)
        self.limit(f"{title}, one removed: commit", statistics.median(times), 3, "s")
        self.limit(f"{title}, one removed: new in the store", statistics.median(added) / 1e6, 1, "MB")
        self.compare(title, store, "it@v1", "it@v2", None)
        look = [self.seconds(self.dfs, "cat", f"it@v1/x{number * 31:07}.txt", store=store) for number in range(7)]
        self.limit(f"{title}: cat of one file", statistics.median(look) * 1000, 50, "ms")
        self.remove(store)
        self.remove(source)

    def part_shards(self):
        number, size = (4, 16 << 20) if self.quick else (64, 64 << 20)
        source = self.scratch / "shards"
        source.mkdir()
        for i in range(number):
            write_random(source / f"shard{i:03}", size)
        title = f"{number} shards of {size // MIB} MiB"
        kinds = []

        def change(turn):
            """One percent of each shard, in its middle: overwritten, inserted, or moved."""
            kind = ("overwritten", "inserted", "moved")[turn % 3]
            kinds.append(kind)
            for path in source.iterdir():
                data, part = bytearray(path.read_bytes()), size // 100
                middle = len(data) // 2
                if kind == "overwritten":
                    data[middle:middle + part] = os.urandom(part)
                elif kind == "inserted":
                    data[middle:middle] = os.urandom(part)
                else:
                    piece = data[middle:middle + part]
                    del data[middle:middle + part]
                    data[len(data) // 4:len(data) // 4] = piece
                path.write_bytes(data)

        store, count, total, middle = self.side_by_side(title, source, change, 3, ["restic"])
        slower = max(middle["HASH", "first"], middle["DISK", "first"])
        self.ratio(f"{title}: commit / lower of HASH and DISK", slower / middle["dfs", "first"], 0.5)
        self.ratio(f"{title}: cp + sync / commit", middle["cp -r + sync", "first"] / middle["dfs", "first"], 0.5)
        self.figure(f"{title}, 1 % {', '.join(kinds)}: new in the store",
                    f"{100 * middle['added', 'changed'] / total:.2f} %", "≤ 3 %",
                    middle["added", "changed"] <= 0.03 * total)
        self.names(source)
        self.checked(title, store, source, total)
        self.remove(store)
        self.remove(source)

    def part_versions(self):
        count = 100 if self.quick else 10_000
        store, cache = self.scratch / "versions", self.scratch / "made"
        self.run(self.dfs, "__history", store, cache, self.scratch / "key", "versions", count)
        cold = []
        for _ in range(3):
            shutil.rmtree(self.scratch / "home", ignore_errors=True)
            cold.append(self.seconds(self.dfs, "ls", store=store))
        self.limit(f"{count:,} versions, no index: ls", statistics.median(cold), 5, "s")
        for name, words in (("log", ("log", "long")), ("diff v1 latest", ("diff", "long@v1", "long")),
                            ("ls of a directory of v1", ("ls", "long@v1/3"))):
            times = [self.seconds(self.dfs, *words, store=store, accept=(0, 1)) for _ in range(7)]
            limit = 200 if name == "log" else 50
            self.limit(f"{count:,} versions: {name}", statistics.median(times) * 1000, limit, "ms")
        self.figure(f"{count:,} versions: log --path",
                    milliseconds([self.seconds(self.dfs, "log", "long", "--path", "3/13", store=store)]))
        self.remove(store)
        self.remove(cache)

    def part_entries(self):
        count = 2_000 if self.quick else 200_000
        store, cache = self.scratch / "entries", self.scratch / "made"
        self.run(self.dfs, "__history", store, cache, self.scratch / "key", "entries", count)
        cold = []
        for _ in range(3):
            shutil.rmtree(self.scratch / "home", ignore_errors=True)
            cold.append(self.seconds(self.dfs, "ls", store=store))
        self.limit(f"{count:,} entries, no index: ls", statistics.median(cold), 5, "s")
        warm = [self.seconds(self.dfs, "ls", store=store) for _ in range(7)]
        self.limit(f"{count:,} entries, from the cache: ls", statistics.median(warm) * 1000, 200, "ms")
        self.remove(store)
        self.remove(cache)


if __name__ == "__main__":
    sys.exit(measuring.main(Scale, PARTS, __doc__, 60e9, benchmark.arguments))
