"""Power cuts: an ext4 that is shut down under the writers, so that exactly what was not made durable is lost."""
import shutil, time
from .loop import JOURNAL_WRITTEN, NOTHING_WRITTEN, Loop, unavailable
from .runner import Tally, run_cases
from .world import Broken, World, rng_of


def run(settings):
    tally = Tally(settings, "power")
    problem = unavailable()
    if problem:
        tally.add(f"skipped ({problem})")
        return tally
    # A planted defect is looked for where nothing but the store can make anything durable: no index on the same disk.
    cases = range(0, 60, 3) if settings.defect else range(6 if settings.small else 60)
    run_cases(tally, cases, lambda root: lambda case: cut(settings, root, int(case), tally))
    return tally


def cut(settings, root, case, tally):
    """`case` says what lies on the disk that fails: the store, the store and the hosts' indexes, or those alone."""
    rng = rng_of(settings.seed, "power", case)
    kind = ("store", "store and index", "index")[case % 3]
    shutil.rmtree(root, ignore_errors=True)
    disk = Loop(root)
    disk.mount()
    try:
        world = World(settings, root / "world", store=None if kind == "index" else disk.place / "store",
                      caches=None if kind == "store" else disk.place / "caches")
        acknowledged = write_until_cut(world, disk, rng)
        disk.unmount()
        disk.mount()
        world.check(world.host("a"), next_source=world.source("next", rng, large=False))
        world.check(world.host("fresh"), everything=False)
        disk.unmount()
        if not disk.is_sound():
            raise RuntimeError("the file system itself is damaged")
    finally:
        if disk.mounted:
            disk.unmount()
    tally.add("versions acknowledged before", acknowledged)
    return [f"cuts of {kind}"]


def write_until_cut(world, disk, rng):
    """Two hosts commit until some moment; returns how many versions were acknowledged."""
    hosts = [world.host(name) for name in "ab"]
    hosts[0].must("init")
    sources = [world.source(name, rng) for name in "ab"]
    commits = rng.randrange(0, 4)
    for _ in range(commits):
        for host, source, name in zip(hosts, sources, "ab"):
            source.change()
            answer = world.commit(host, name, source)
            if answer.code:
                raise Broken(f"{answer}")
        disk.write_back_some(rng)
    processes = []
    for host, source in zip(hosts, sources):
        source.change()
        processes.append(world.begin(host, "shared", source))
    # At once after the acknowledgement, or in the middle of the writing.
    if rng.random() < 0.5:
        answers = [host.finish(process) for host, process in zip(hosts, processes)]
    else:
        time.sleep(rng.uniform(0, 0.08))
        answers = None
    disk.cut(rng.choice([NOTHING_WRITTEN, NOTHING_WRITTEN, JOURNAL_WRITTEN]))
    for at, (host, process) in enumerate(zip(hosts, processes)):
        answer = answers[at] if answers else host.finish(process)
        if answer.code < 0:
            raise Broken(f"crash: {answer}")
        world.acknowledge(process, answer)
    return len(world.kept)
