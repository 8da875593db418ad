"""SIGKILL at random times to two writers, each a host of its own, on one store."""
import os, signal, time
from .runner import Tally
from .world import Broken, World, rng_of


def run(settings):
    tally = Tally(settings, "kills")
    wanted = 12 if settings.small else 200
    world, rng = World(settings, settings.scratch / "kills"), rng_of(settings.seed, "kills")
    hosts = [world.host(name) for name in "ab"]
    hosts[0].must("init")
    sources = [world.source(name, rng, large=name == "a") for name in "ab"]
    rounds = kills = 0
    while kills < wanted and not tally.enough:
        rounds += 1
        try:
            kills += play(world, hosts, sources, rng, rounds)
            if rounds % 10 == 0:
                world.check(hosts[rounds // 10 % 2], everything=False)
        except Broken as problem:
            tally.fail(rounds, problem)
            break
    try:
        world.check(world.host("fresh"), next_source=world.source("next", rng, large=False))
    except Broken as problem:
        tally.fail(rounds, problem)
    tally.add("kills", kills)
    tally.add("rounds", rounds)
    tally.add("versions read back", world.exports)
    return tally


def play(world, hosts, sources, rng, number):
    """Both commit, to the same dataset every third time; one or both are killed. Returns how many died."""
    processes = []
    for host, source, name in zip(hosts, sources, "ab"):
        source.change()
        processes.append(world.begin(host, "shared" if number % 3 == 0 else name, source))
    time.sleep(rng.uniform(0, 0.09))
    for process in rng.choice([processes, processes[:1], processes[1:]]):
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
    died = 0
    for host, process in zip(hosts, processes):
        answer = host.finish(process)
        if answer.code not in (0, -signal.SIGKILL):
            raise Broken(f"{answer}")
        died += answer.code != 0
        world.acknowledge(process, answer)
    return died
