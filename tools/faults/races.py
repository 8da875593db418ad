"""Eight writers at once: of each number, and of each tag, there is one."""
import shutil
from .runner import Tally, run_cases
from .world import Broken, World, rng_of

WRITERS, ROUNDS_PER_STORE = 8, 25


def run(settings):
    tally = Tally(settings, "races")
    stores = 1 if settings.small else 20
    run_cases(tally, range(stores), lambda root: lambda case: races(
        settings, root, int(case), 10 if settings.small else ROUNDS_PER_STORE))
    return tally


def races(settings, root, case, rounds):
    world, rng = World(settings, root), rng_of(settings.seed, "races", case)
    hosts = [world.host(f"h{n}") for n in range(WRITERS)]
    hosts[0].must("init")
    sources = [world.source(f"s{n}", rng, large=False) for n in range(WRITERS)]
    outcomes = []
    for number in range(rounds):
        if number % 2 and len(world.kept) >= WRITERS:
            tags(world, hosts, f"race{number}", rng)
            outcomes.append("races for a tag")
        else:
            commits(world, hosts, sources)
            outcomes.append("races for a version")
    world.check(world.host("fresh"), next_source=sources[0])
    shutil.rmtree(root, ignore_errors=True)
    return outcomes


def commits(world, hosts, sources):
    """All commit different contents to one dataset: each is acknowledged, with a number that nobody else got."""
    before = world.kept_latest("d")
    for source in sources:
        source.change()
    processes = [world.begin(host, "d", source) for host, source in zip(hosts, sources)]
    numbers = []
    for host, process in zip(hosts, processes):
        answer = host.finish(process)
        if answer.code:
            raise Broken(f"refused: {answer}")
        numbers.append(world.acknowledge(process, answer))
    if sorted(numbers) != list(range(before + 1, before + WRITERS + 1)):
        raise Broken(f"after v{before}, {WRITERS} writers were told that they wrote {sorted(numbers)}")


def tags(world, hosts, tag, rng):
    """All put the same tag on different versions, without --move: one may."""
    versions = rng.sample(range(1, world.kept_latest("d") + 1), WRITERS)
    processes = [host.start("tag", f"d@v{version}", tag) for host, version in zip(hosts, versions)]
    answers = [host.finish(process) for host, process in zip(hosts, processes)]
    winners = [version for version, answer in zip(versions, answers) if answer.code == 0]
    if len(winners) != 1:
        raise Broken(f"{len(winners)} writers were told that they set the tag: {[str(answer) for answer in answers]}")
    world.tags["d", tag] = winners[0]
