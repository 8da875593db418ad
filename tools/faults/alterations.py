"""Altered files: every kind of file of a store and of a host's index. Each is detected, or changes nothing."""
import json, os, pathlib, shutil, signal, time, uuid
from .points import JOB
from .runner import Tally, run_cases
from .world import Broken, World, listed, rng_of, two_versions

INDEX = ("data", "lock", "seal")
HOW = ("flip", "flip", "flip", "truncate", "extend", "zero", "empty", "remove", "exchange", "older")
SHARES = {"description": 6, "entry": 14, "pack": 24, "table": 16, "live": 4, "lease": 2, "bundle": 2,
          "data": 24, "lock": 4, "seal": 4}
WHERE = {"description": "dfs-store.json", "entry": "ledger/*/*.json", "pack": "packs/*/*.pack",
         "table": "packs/*/*.idx", "live": "live/**/*", "lease": "leases/*", "bundle": "ledger/bundles/*",
         "data": "**/data.mdb", "lock": "**/lock.mdb", "seal": "**/seal"}


def run(settings):
    tally = Tally(settings, "alterations")
    number = 40 if settings.small else 2000
    cases = []
    for kind, share in SHARES.items():
        if kind in settings.only if settings.only else kind != "bundle" or not settings.small:
            for n in range(max(1, number * share // 100)):
                cases.append(f"{kind}:{HOW[n % len(HOW)]}:{n}")
    rng_of(settings.seed, "order").shuffle(cases)
    run_cases(tally, cases, lambda root: runner(settings, root))
    return tally


def runner(settings, root):
    """A history with a bundle is long, so it is made for those who need it only."""
    made = {}

    def run(case):
        kind = Long if case.startswith("bundle") else Altered
        if kind not in made:
            made[kind] = kind(settings, root.with_name(f"{root.name}-{kind.__name__}"))
        return made[kind].run(case)
    return run


class Altered:
    """A history with everything in it, a fork of it, and a host whose index is warm."""

    def __init__(self, settings, root):
        self.settings = settings
        self.world, self.host, self.source = two_versions(settings, root, rng_of(settings.seed, "alterations"))
        world, host = self.world, self.host
        world.record(world.host("b"), "d", self.change(large=True))
        project = world.root / "sources/project"
        project.mkdir()
        (project / "train.py").write_text("print(1)\n")
        host.must("run", "--data", "d", "--", *JOB, within=project)
        self.leave_dead_run(project)
        self.leave_lease()
        self.older = world.root / "older"
        shutil.copytree(world.store, self.older / "store", symlinks=True)
        shutil.copytree(host.cache, self.older / "cache", symlinks=True)
        # A fork: the history went on in a copy, another way.
        world.commit(host, "fork", self.change())
        self.fork = world.root / "fork"
        shutil.copytree(world.store, self.fork, symlinks=True)
        shutil.rmtree(world.store)
        shutil.copytree(self.older / "store", world.store, symlinks=True)
        world.kept = {key: content for key, content in world.kept.items() if key[0] != "fork"}
        world.record(host, "d", self.change())
        self.next = world.source("next", rng_of(1), large=False)
        world.check(host)
        self.state = world.save()
        self.listed = world.listing(host)

    def change(self, large=False):
        self.source.change()
        if large:
            self.source.write("large", self.source.rng.randbytes(420_000))
        return self.source

    def leave_dead_run(self, project):
        """A run whose launcher was killed: its journal and what it wrote lie in live/."""
        process = self.host.start("run", "--data", "d", "--", "sh", "-c", "echo half; sleep 100", within=project)
        until = time.monotonic() + 20
        while not any(path.read_bytes() for path in self.world.store.glob("live/*/logs/stdout")):
            if time.monotonic() > until or process.poll() is not None:
                raise Broken(f"no run to kill: {self.host.finish(process, 1)}")
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        self.host.finish(process)

    def leave_lease(self):
        """Somebody mounted before a version was removed."""
        self.world.record(self.host, "shown", self.change())
        lease = {"format": "dfs.lease/1", "host": "elsewhere", "pid": 1, "sequence": len(self.files("entry")),
                 "started": "2026-01-01T00:00:00.000000Z"}
        (self.world.store / "leases").mkdir(exist_ok=True)
        (self.world.store / f"leases/{uuid.UUID(int=1)}.json").write_text(json.dumps(lease, separators=(",", ":")))
        self.world.remove(self.host, "shown@v1")

    def files(self, kind, store=None):
        root = self.host.cache if kind in INDEX else store or self.world.store
        return sorted(path for path in root.glob(WHERE[kind]) if path.is_file() and not path.is_symlink())

    def alter(self, kind, how, rng):
        """Changes one file; returns what was done, or `None` where it would be the same bytes."""
        files = self.files(kind)
        path = rng.choice(files)
        before = path.read_bytes()
        path.chmod(0o644)
        data = bytearray(before)
        if how == "flip" and data:
            for _ in range(rng.choice([1, 1, 1, 8])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif how == "truncate" and data:
            del data[rng.randrange(len(data)):]
        elif how == "extend":
            data += bytes(rng.choice([1, 56, 4096, 100_000]))
        elif how == "zero" and data:
            at, length = rng.randrange(len(data)) & -512, rng.choice([16, 512, 4096])
            data[at:at + length] = bytes(len(data[at:at + length]))
        elif how == "empty":
            data = bytearray()
        elif how == "exchange":
            other = rng.choice(files)
            data = bytearray(other.read_bytes())
            other.chmod(0o644)
            other.write_bytes(before)
        elif how == "older":
            data = bytearray(self.older_bytes(kind, path, rng) or before)
        if how == "remove":
            path.unlink()
        else:
            path.write_bytes(data)
        return None if how != "remove" and bytes(data) == before else path

    def older_bytes(self, kind, path, rng):
        """What stood there before, or stands there in another history, or an older file of its kind."""
        if kind in INDEX:
            return (self.older / "cache" / path.relative_to(self.host.cache)).read_bytes()
        fork = self.fork / path.relative_to(self.world.store)
        if fork.exists() and fork.read_bytes() != path.read_bytes():
            return fork.read_bytes()
        others = [other for other in self.files(kind, self.fork) if other.read_bytes() != path.read_bytes()]
        return rng.choice(others).read_bytes() if others else None

    def run(self, case):
        kind, how, number = case.split(":")
        rng = rng_of(self.settings.seed, case)
        self.world.restore(self.state)
        head = self.files("entry")[-1]
        path = self.alter(kind, how, rng)
        if path is None:
            return ["that changed nothing"]
        if kind in INDEX:
            return self.index()
        return [self.store(kind, rng.random() < 0.5, kind == "entry" and how == "remove" and path == head)]

    def index(self):
        """An altered index changes nothing that is read, and nothing that the next commit relies on."""
        self.world.check(self.host, next_source=self.next)
        if self.world.listing(self.world.host("fresh"))[0].keys() != {*self.listed[0], ("next", 1)}:
            raise Broken("the listing changed")
        self.world.check(self.world.host("fresh"))
        return ["of the index, harmless"]

    def store(self, kind, fresh, is_tail):
        """Reads everything as users do; whatever is not refused must be right."""
        host = self.world.host("fresh") if fresh else self.host
        if kind == "lease":
            # Who cannot read it does not know what is shown; what stands stays.
            self.patient(host, "gc", "--yes", "--grace", "0")
        if kind == "live":
            host.run("runs", "--all-users", "--json")
            host.run("doctor")
        verified = self.patient(host, "verify", "--data").code
        refused = 0
        answer = self.patient(host, "log", "--json")
        if answer.code:
            refused += 1
        else:
            versions = listed(answer)[0]
            if versions != self.listed[0]:
                if is_tail and versions.items() <= self.listed[0].items():
                    return "the last entry removed, which only an outside witness sees"
                if not verified:
                    raise Broken(f"SILENT: the listing changed: {answer}")
                refused += 1
        for (dataset, version), wanted in self.world.kept.items():
            content, answer = self.world.export(host, dataset, version)
            if content is not None and content != wanted:
                raise Broken(f"WRONG BYTES: {dataset} v{version}")
            refused += content is None
        if verified:
            return "detected by verify"
        return "detected by the reader alone" if refused else "harmless"

    def patient(self, host, *words):
        answer = host.run(*words)
        if answer.code < 0 or answer.code > 130:
            raise Broken(f"crash: {answer}")
        return answer


class Long(Altered):
    """More than a thousand entries, so that there is a bundle of them; and the like of another store."""

    def __init__(self, settings, root):
        self.settings, self.world = settings, World(settings, root)
        world, self.host = self.world, self.world.host("a")
        self.fork = root / "other"
        for store in (world.store, self.fork):
            self.host.must("__history", store, root / "made", root / "key", "entries", 1005)
        world.record(self.host, "d", world.source("d", rng_of(settings.seed, "long"), large=False))
        self.state, self.listed = world.save(), world.listing(self.host)
