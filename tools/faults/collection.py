"""Collection beside writers on other hosts, whose indexes are old, who are stopped, or whose packs are half durable."""
import os, shutil, signal, time
from .loop import NOTHING_WRITTEN, Loop, unavailable
from .points import ONE_THREAD
from .runner import Tally, run_cases
from .world import Broken, World, rng_of

KINDS = ("old index", "at once", "stopped before its entry", "stopped somewhere", "comes back",
         "before its folder is durable")


def run(settings):
    tally = Tally(settings, "collection")
    rounds = 1 if settings.small else 15
    cases = [f"{kind}:{n}" for n in range(rounds) for kind in KINDS]
    run_cases(tally, cases, lambda root: lambda case: play(settings, root, case))
    return tally


class Missed(Exception):
    """The state that is to be tried was not reached."""


def play(settings, root, case):
    # Names of packs are chance, and whether their folders are there already changes the order of calls.
    for attempt in range(4):
        try:
            return attempted(settings, root, case, attempt)
        except Missed as missed:
            last = missed
    raise last


def attempted(settings, root, case, attempt):
    kind, rng_parts = case.split(":")[0], (settings.seed, "collection", case, attempt)
    shutil.rmtree(root, ignore_errors=True)
    disk, fault = None, None
    if kind == KINDS[5]:
        if unavailable():
            return [f"skipped ({unavailable()})"]
        fault = before_folder_is_durable(Scene(World(settings, root / "twin"), rng_of(*rng_parts)))
        disk = Loop(root)
        disk.mount()
    try:
        world = World(settings, root / "world", store=disk.place / "store" if disk else None)
        scene = Scene(world, rng_of(*rng_parts))
        outcome = {
            KINDS[0]: scene.old_index, KINDS[1]: scene.at_once, KINDS[2]: lambda: scene.stopped("link:1:stop", True),
            KINDS[3]: lambda: scene.stopped(f"any:{scene.rng.randrange(30, 170)}:stop"), KINDS[4]: scene.comes_back,
            KINDS[5]: lambda: scene.half_durable(disk, fault)}[kind]()
        if disk:
            disk.unmount()
            disk.mount()
        world.check(world.host("fresh"), next_source=scene.next)
        scene.collect()
        world.check(world.host("fresher"))
    finally:
        if disk and disk.mounted:
            disk.unmount()
    return [f"{kind} ({outcome})" if outcome else kind]


def before_folder_is_durable(twin):
    """The fault that stops the writer when a pack has its name and the folder was not fsynced: as strace sees the order
    in a scene that is the same."""
    twin.write(twin.precious)
    path = twin.world.root / "trace"
    prefix = ["strace", "-f", "-qq", "-o", path, "-e", "trace=fsync,renameat2"]
    process = twin.world.begin(twin.b, "d", twin.source, ONE_THREAD, prefix=prefix)
    if twin.b.finish(process).code:
        raise Broken("the twin was refused")
    fsyncs, chosen, after_name = 0, [], False
    for line in path.read_text().splitlines():
        if "fsync(" in line:
            fsyncs += 1
            chosen += [fsyncs] if after_name else []
        after_name = '.pack"' in line and line.endswith(" = 0")
    return f"fsync:{twin.rng.choice(chosen)}:stop"


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

    def remove(self, version=1):
        self.world.remove(self.a, f"d@v{version}")

    def collect(self):
        """Returns the packs that are deleted."""
        before = self.packs()
        self.a.must("gc", "--yes", "--grace", "0")
        return before - self.packs()

    def packs(self):
        return {path.name for path in self.world.store.glob("packs/*/*.pack")}

    def old_index(self):
        """What host b's index says lies in packs that are gone."""
        old = self.world.root / "old"
        shutil.copytree(self.b.cache, old)
        self.remove()
        if not self.collect():
            raise Broken("nothing was collected")
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
        return self.ended(process)

    def stopped(self, fault, must_stop=False):
        """Its packs are written, its entry is not, and what it relies on is condemned and deleted meanwhile."""
        before = self.packs()
        # Both: what lies in packs that stand, and what its own packs hold.
        self.write([self.precious[0], self.rng.randbytes(3000)])
        process = self.world.begin(self.b, "d", self.source, fault=fault)
        stops = wait_for_stop(process)
        its_own = self.packs() - before
        self.remove()
        deleted = self.collect() | self.collect()
        if stops:
            os.kill(process.pid, signal.SIGCONT)
        if must_stop and not (stops and its_own and its_own <= deleted and deleted & before):
            raise Missed(f"{stops=}, {len(its_own)=}, {len(deleted)=}")
        state = "packs deleted" if stops and deleted & its_own else "no pack yet" if stops else "not stopped"
        return f"{self.ended(process)}, {state}"

    def ended(self, process):
        """A right version, which is looked at later, or a clean error."""
        answer = self.b.finish(process)
        if answer.code < 0 or answer.code and "error:" not in answer.error:
            raise Broken(f"neither a version nor an error: {answer}")
        self.world.acknowledge(process, answer)
        return "recorded" if answer.code == 0 else "refused"

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
            self.remove(version)

    def half_durable(self, disk, fault):
        """A pack has its name and its folder was not fsynced when the collector sees it; then the power fails."""
        before = self.packs()
        self.write(self.precious)
        process = self.world.begin(self.b, "d", self.source, ONE_THREAD, fault=fault)
        stops = wait_for_stop(process)
        its_own = self.packs() - before
        self.remove()
        self.collect()
        if stops:
            os.kill(process.pid, signal.SIGCONT)
        if not (stops and its_own):
            raise Missed(f"{fault}, {stops=}, {len(its_own)=}")
        outcome = self.ended(process)
        disk.cut(NOTHING_WRITTEN)
        return outcome


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
