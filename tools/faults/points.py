"""A kill at every call that can fail, of everything that writes to a store."""
import concurrent.futures, os, re, signal, subprocess
from .runner import Tally, run_cases
from .world import Broken, two_versions, rng_of, World

# Calls that change something, for strace: whatever the program or a library of it calls without asking `System.call`.
CHANGING = ("write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,"
            "unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,fallocate,copy_file_range,ioctl,chmod,fchmod,symlinkat,"
            "symlink,msync").split(",")
# What writes. `init` needs no history; `take` learns what another host wrote, and commits nothing. Those with most
# calls first, as they are counted longest.
OPERATIONS = ("run", "gc", "commit", "remove", "tag", "untag", "init", "take")
# Every n-th call is a point, in the small form and in the large one.
SHARES = (
    {"run": 800, "gc": 36, "commit": 14, "remove": 40, "tag": 30, "untag": 40, "init": 30, "take": 30},
    {"run": 12, "gc": 2})
ONE_THREAD = ("-j", "1")  # others would go on for a moment, and calls would not stand in their order
JOB = ("sh", "-c", "echo seen; cat data/d/turn > $DFS_OUTPUTS/o; echo work > w")


class Stage:
    """A history that is put back before each point, and what is done to it."""

    extra = ()  # more words for commits

    def __init__(self, settings, root):
        self.world, self.host, self.source = two_versions(settings, root, rng_of(settings.seed, "points"))
        self.world.record(self.host, "other", self.source)
        self.project = self.world.root / "sources/project"
        self.project.mkdir()
        (self.project / "train.py").write_text("print(1)\n")
        self.next = self.world.source("next", rng_of(settings.seed, "next"), large=False)
        self.source.change()
        self.world.record(self.world.host("b"), "late", self.source)
        self.source.change()
        self.state = self.world.save()

    def start(self, operation, **options):
        world, host = self.world, self.host
        world.restore(self.state)
        if operation == "commit":
            return world.begin(host, "d", self.source, self.extra, **options)
        if operation == "init":
            host.environment["DFS_STORE"] = str(world.root / "fresh")
            subprocess.run(["rm", "-rf", world.root / "fresh"], check=True)
            try:
                return host.start("init", **options)
            finally:
                host.environment["DFS_STORE"] = str(world.store)
        if operation == "remove":
            return world.start_removal(host, "other@v1", **options)
        if operation == "gc":
            world.remove(world.host("b"), "other")
        words = {
            "tag": ["tag", "d@v2", "new"], "untag": ["tag", "--delete", "d@v1", "first"], "take": ["ls", "late"],
            "run": ["run", "--data", "d", "--", *JOB],
            "gc": ["gc", "--yes", "--grace", "0"]}
        return host.start(*words[operation], within=self.project if operation == "run" else None, **options)

    def finish(self, operation, process):
        answer = self.host.finish(process)
        if answer.code < 0 and answer.code != -signal.SIGKILL:
            raise Broken(f"crash: {answer}")
        world = self.world
        if operation == "commit":
            world.acknowledge(process, answer)
        elif operation == "tag" and answer.code == 0:
            world.tags["d", "new"] = 2
        elif operation == "untag":
            world.tags.pop(("d", "first"))
        elif operation == "remove":
            world.acknowledge_removal(process, answer)
        return answer

    def check(self, operation, fresh):
        """Reopens, by the same host or one that knows nothing."""
        if operation == "init":
            other = World(self.world.settings, self.world.root / "second", store=self.world.root / "fresh")
            host = other.host("a")
            host.environment.update(self.host.environment, DFS_STORE=str(other.store))
            answer = host.run("init")
            if answer.code and "is a store already" not in answer.error:
                raise Broken(f"what init left cannot be gone on with: {answer}")
            other.source("next", rng_of(1), large=False)
            other.record(host, "x", other.source("x", rng_of(2), large=False))
            other.check(host)
            return
        host = self.world.host("fresh" if fresh else "a")
        if operation == "run":
            self.settle(host)
        self.world.check(host, next_source=self.next)
        if operation in ("gc", "remove"):
            self.host.must("gc", "--yes", "--grace", "0")
            self.world.check(self.world.host("late"))

    def settle(self, host):
        """Whatever died, its run ends: nothing of it runs or is mounted, and the record says so."""
        self.world.host("a").must("doctor", "--repair")
        for row in host.must("runs", "--all-users", "--json").rows:
            if row.get("status") == "running":
                raise Broken(f"a dead run is still running: {row}")


def count(stage, operation, kind="any", roughly=False):
    """How many calls of a kind the operation makes: the number before the first that it does not come to. Roughly: up
    to an eighth more."""
    low, high = 0, 1
    while killed(stage, operation, f"{kind}:{high}:kill"):
        low, high = high, high * 2
        if high > 1 << 16:
            raise Broken(f"{operation} does not succeed without a fault")
    while high - low > max(1, low // 8 if roughly else 1):
        middle = (low + high) // 2
        low, high = (middle, high) if killed(stage, operation, f"{kind}:{middle}:kill") else (low, middle)
    return high - 1


def count_all(settings, operations, name, how):
    """`how(stage, operation)` for each operation, on some threads, which have a stage each."""
    waiting = list(reversed(operations))

    def work(number):
        found, stage = {}, None
        while waiting:
            operation = waiting.pop()
            stage = stage or Stage(settings, settings.scratch / f"{name}-count-{number}")
            found[operation] = how(stage, operation)
        return found
    counts = {}
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
        for found in pool.map(work, range(min(settings.jobs, len(operations)))):
            counts.update(found)
    return counts


def killed(stage, operation, fault):
    return stage.host.finish(stage.start(operation, fault=fault)).code != 0


def traced(stage, operation, *calls, **options):
    """How many times strace sees each call in the operation."""
    path = stage.world.root / "trace"
    prefix = ["strace", "-f", "-qq", "-o", str(path), "-e", f"trace={','.join(calls)}"]
    stage.finish(operation, stage.start(operation, prefix=prefix, **options))
    seen = path.read_text()
    return {call: len(re.findall(rf"\b{call}\(", seen)) for call in calls}


def run(settings):
    tally = Tally(settings, "points")
    share, cases = SHARES[0 if settings.small else 1], []
    wanted = [operation for operation in OPERATIONS if not settings.only or operation in settings.only]
    if not settings.case:
        counts = count_all(settings, wanted, "points", lambda *what: count(*what, roughly=settings.small))
        for operation, last in counts.items():
            # Threads change the order, and what they find the number: some more than were counted.
            step = share.get(operation, 1)
            cases += [f"{operation}:any:{number}" for number in range(1 + settings.seed % step, last + 5, step)]
            tally.add(f"{'or fewer ' if settings.small else ''}calls of {operation}", last)
    if settings.defect:
        # What is planted is about the entry, which comes last.
        cases.reverse()
    if not settings.case and (not settings.only or "funnel" in settings.only):
        stage = Stage(settings, settings.scratch / "points-count")
        for operation in ("commit",) if settings.small else ("commit", "tag"):
            cases += funnel(stage, operation, tally, 20 if settings.small else 1, settings.seed)
    run_cases(tally, cases, lambda root: runner(Stage(settings, root)))
    return tally


def funnel(stage, operation, tally, step, seed):
    """Points by strace; and the calls that make things durable are counted by both: what `System.call` does not see
    could not be failed by any other scenario."""
    cases = []
    stage.extra = ONE_THREAD
    for call, number in traced(stage, operation, *CHANGING).items():
        cases += [f"{operation}:{call}:{n}" for n in range(1 + seed % step, number + 1, step)]
        for kind in {"fsync": ["fsync"], "link": ["link"], "renameat2": ["rename"]}.get(call, ()):
            # Folders that are there already save some, so only what one process does can be compared: before it is
            # killed at the n-th that the funnel knows, strace has seen n - 1.
            for n in {1, max(1, number // 2), max(1, number - 2)}:
                seen = traced(stage, operation, call, fault=f"{kind}:{n}:kill")[call]
                if seen != n - 1:
                    tally.fail(f"{operation}:{call}", f"strace sees {seen} of {call} before the funnel's {kind} {n}")
    return cases


def runner(stage):
    def run(case):
        operation, kind, number = case.split(":")
        if kind == "any":
            process = stage.start(operation, fault=f"any:{number}:kill")
        else:
            process = stage.start(operation, prefix=[
                "strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={kind}", "-e",
                f"inject={kind}:signal=KILL:when={number}"])
        answer = stage.finish(operation, process)
        stage.check(operation, fresh=int(number) % 2)
        return ["kills" if answer.code else "came through"]
    return run
