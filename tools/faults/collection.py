"""Collection beside writers on other hosts, whose indexes are old, who are stopped, or whose packs are half durable."""
import os, shutil, signal, time
from .loop import NOTHING_WRITTEN, Loop, unavailable
from .runner import Tally, run_cases
from .world import Broken, World, rng_of

KINDS = ("old index", "at once", "stopped before its entry", "stopped somewhere", "comes back", "before its folder is durable")


def run(settings):
    tally = Tally(settings, "collection")
    if not settings.has("gc"):
        tally.add("skipped (this dfs has no gc)", 1)
        return tally
    rounds = 1 if settings.small else 15
    cases = [f"{kind}:{n}" for n in range(rounds) for kind in KINDS]
    run_cases(tally, cases, lambda root: lambda case: play(settings, root, case))
    return tally


def play(settings, root, case):
    kind, number = case.split(":")
    rng = rng_of(settings.seed, "collection", case)
    shutil.rmtree(root, ignore_errors=True)
    disk = None
    if kind == KINDS[5]:
        if unavailable():
            return [f"skipped ({unavailable()})"]
        disk = Loop(root)
        disk.mount()
    try:
        scene = Scene(World(settings, root / "world", store=disk.place / "store" if disk else None), rng)
        {KINDS[0]: scene.old_index, KINDS[1]: scene.at_once, KINDS[2]: lambda: scene.stopped("link:1:stop"),
         KINDS[3]: lambda: scene.stopped(f"any:{rng.randrange(40, 250)}:stop"), KINDS[4]: scene.comes_back,
         KINDS[5]: lambda: scene.half_durable(disk)}[kind]()
        if disk:
            disk.unmount()
            disk.mount()
        scene.world.check(scene.world.host("fresh"), next_source=scene.next)
        scene.collect()
        scene.world.check(scene.world.host("fresher"))
    finally:
        if disk and disk.mounted:
            disk.unmount()
    return [kind]


class Scene:
    """`d` v1 holds bytes that v2 has not; host `b` knows where they lie. Then v1 is removed."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.a, self.b = world.host("a"), world.host("b")
        self.a.must("init")
        self.source = world.source("d", rng)
        self.precious = [rng.randbytes(300_000), rng.randbytes(3000)]
        self.write(self.precious)
        world.record(self.b, "d", self.source)
        self.write([rng.randbytes(300_000), rng.randbytes(3000)])
        world.record(self.b, "d", self.source)
        self.next = world.source("next", rng, large=False)
        self.b.must("ls")

    def write(self, contents):
        self.source.change()
        for name, content in zip(("large", "small"), contents):
            self.source.write(name, content)

    def remove(self):
        self.a.must("dataset", "rm", "d@v1", "--reason", "harness")
        self.world.kept.pop(("d", 1))
        self.world.removed = {("d", 1)}

    def collect(self):
        self.a.must("gc", "--yes", "--grace", "0")

    def old_index(self):
        """What host b's index says lies in packs that are gone."""
        old = self.world.root / "old"
        shutil.copytree(self.b.cache, old)
        self.remove()
        self.collect()
        shutil.rmtree(self.b.cache)
        shutil.copytree(old, self.b.cache)
        self.write(self.precious)
        self.world.record(self.b, "d", self.source)

    def at_once(self):
        self.remove()
        self.write(self.precious)
        process = self.world.begin(self.b, "d", self.source)
        time.sleep(self.rng.uniform(0, 0.05))
        self.collect()
        self.world.acknowledge(process, self.b.finish(process))

    def stopped(self, fault):
        """Its packs are written, its entry is not, and what it relies on is condemned and deleted meanwhile."""
        self.write(self.precious)
        process = self.world.begin(self.b, "d", self.source, fault=fault)
        stops = wait_for_stop(process)
        self.remove()
        self.collect()
        self.collect()
        if stops:
            os.kill(process.pid, signal.SIGCONT)
        self.world.acknowledge(process, self.b.finish(process))

    def comes_back(self):
        """The same content again, removed again, collected each time."""
        self.remove()
        for _ in range(3):
            self.collect()
            self.write(self.precious)
            version = self.world.record(self.b, "d", self.source)
            self.collect()
            self.world.check(self.b, everything=False)
            self.write([self.rng.randbytes(2000), b""])
            self.world.record(self.b, "d", self.source)
            self.a.must("dataset", "rm", f"d@v{version}", "--reason", "harness")
            self.world.kept.pop(("d", version))
            self.world.removed.add(("d", version))

    def half_durable(self, disk):
        """A pack has its name and its folder was not fsynced when the collector sees it; then the power fails."""
        self.write(self.precious)
        process = self.world.begin(self.b, "d", self.source, fault=f"fsync:{self.rng.randrange(1, 12)}:stop")
        stops = wait_for_stop(process)
        self.remove()
        self.collect()
        if stops:
            os.kill(process.pid, signal.SIGCONT)
        self.world.acknowledge(process, self.b.finish(process))
        disk.cut(NOTHING_WRITTEN)


def wait_for_stop(process):
    """Whether it stopped; else it has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        with open(f"/proc/{process.pid}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "T":
                return True
        time.sleep(0.005)
    raise Broken("neither stopped nor ended")
