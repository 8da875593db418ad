"""Interleaved rounds: what disturbs one contestant disturbs the others, and the order turns every round."""
import statistics
from dataclasses import dataclass


@dataclass
class Sample:
    seconds: float
    requests: int | None = None  # to the daemon, where there is one
    reads: int | None = None


class Race:
    def __init__(self, rounds, views, measure):
        """MEASURE(view, round) gives a Sample. One of the views is native."""
        self.samples = {view.mode: [] for view in views}
        for number in range(rounds):
            for view in views if number % 2 == 0 else reversed(views):
                self.samples[view.mode].append(measure(view, number))

    def ratios(self, mode, yardstick="native"):
        """How fast MODE was, of the yardstick's speed, round by round."""
        return [base.seconds / sample.seconds
                for base, sample in zip(self.samples[yardstick], self.samples[mode])]

    def median(self, mode):
        return statistics.median(sample.seconds for sample in self.samples[mode])

    def requests(self, mode):
        found = [sample.requests for sample in self.samples[mode] if sample.requests is not None]
        return statistics.median(found) if found else None

    def reads(self, mode):
        found = [sample.reads for sample in self.samples[mode] if sample.reads is not None]
        return max(found) if found else None

    def best(self, modes):
        """The fastest of MODES that raced, or None."""
        raced = [mode for mode in modes if mode in self.samples]
        return max(raced, key=lambda mode: statistics.median(self.ratios(mode))) if raced else None
