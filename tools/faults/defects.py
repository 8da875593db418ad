"""Planted mistakes: each must make the harness fail, or it would not see a real one."""
import copy
from . import alterations, errors, points, power, races, servers
from .runner import Tally
from .loop import unavailable

# The cheapest scenario that sees each, and what of it.
DEFECTS = {
    "skip-fsync": (power, None), "skip-directory-fsync": (power, None), "ignore-failed-fsync": (errors, None),
    "skip-hash": (alterations, ["pack"]),
    "entry-first": (points, ["commit"]), "replace-entry": (races, None),
    "forget-ids": (servers, None),
}
IN_SMALL = ("skip-directory-fsync", "skip-hash", "entry-first", "forget-ids")


def run(settings):
    tally = Tally(settings, "defects")
    with open(settings.dfs, "rb") as file:
        if b"skip-directory-fsync" not in file.read():
            tally.add("skipped (no debug build: planted mistakes are not in it)", 1)
            return tally
    for name, (scenario, only) in DEFECTS.items():
        if settings.case != name if settings.case else settings.small and name not in IN_SMALL:
            continue
        if scenario is power and unavailable():
            tally.add(f"skipped ({unavailable()})")
            continue
        planted = copy.copy(settings)
        # Not a sample: it ends with the first case that sees it.
        planted.small = False
        planted.defect, planted.only, planted.case, planted.quiet = name, only, None, True
        found = scenario.run(planted)
        if found.failures:
            tally.add(f"{name} seen by {found.name} ({found.failures[0][1].__str__().splitlines()[-1][:80]})")
        else:
            tally.fail(name, f"planted, and {found.name} saw nothing")
    return tally
