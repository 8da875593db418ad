"""Runs the cases of a scenario, on some threads, and counts."""
import collections, pathlib, sys, threading, time, traceback
from .world import Broken


class Tally:
    """What came of a scenario: counts by outcome, and each broken promise with the command that shows it again."""

    def __init__(self, settings, name):
        self.settings, self.name = settings, name
        self.counts, self.failures, self.lock = collections.Counter(), [], threading.Lock()
        self.started = time.monotonic()

    def add(self, outcome, number=1):
        with self.lock:
            self.counts[outcome] += number

    def fail(self, case, problem):
        again = f"tools/harness {self.name} --case {case} --seed {self.settings.seed}"
        if self.settings.defect:
            again += f" --defect {self.settings.defect}"
        with self.lock:
            self.failures.append((case, problem))
            if not self.settings.quiet:
                print(f"BROKEN {self.name} {case}: {problem}\n  again: {again}", file=sys.stderr, flush=True)

    @property
    def enough(self):
        """When a planted defect is looked for, one failure is."""
        return bool(self.settings.defect and self.failures)

    @property
    def is_late(self):
        return self.settings.minutes is not None and time.monotonic() - self.started > self.settings.minutes * 60

    def row(self):
        parts = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
        seconds = time.monotonic() - self.started
        return f"{self.name:12} {parts}; {len(self.failures) or 'none'} broken ({seconds:.0f} s)"


def run_cases(tally, cases, make):
    """Calls `run(case)` for each case. `make(root)` builds what a thread needs, in a folder of its own, and returns
    `run`, which returns outcomes to count."""
    settings, waiting = tally.settings, list(cases)
    if settings.case:
        waiting = [case for case in waiting if str(case) == settings.case] or [settings.case]
    waiting.reverse()
    lock = threading.Lock()

    def work(number):
        run = None
        while not tally.enough:
            with lock:
                if not waiting or tally.is_late:
                    return
                case = waiting.pop()
            try:
                run = run or make(pathlib.Path(settings.scratch, f"{tally.name}-{number}"))
                for outcome in run(case) or ():
                    tally.add(outcome)
            except Broken as problem:
                tally.fail(case, problem)
            except Exception:
                tally.fail(case, traceback.format_exc())
    threads = [threading.Thread(target=work, args=(number,)) for number in range(min(settings.jobs, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if tally.is_late and waiting:
        tally.add("not tried", len(waiting))
