"""How often verdicts on real judge scores are wrong, and how many samples they take.

``python tests/bench/verdicts.py [--data PATH] [--draws N] [--plot PATH]``

For every model of the scores file and bars at its true mean and at a distance from it, independent
draws from its scores are judged by the sequential gate and by what else people do, all on the same
draws. A verdict is wrong when it says ``pass`` and the true mean is below the bar, or ``fail`` and
it is above. A second table compares with pytest-probability, where it is installed, on pass/fail at
a cut of the scores; a third shows what the order of the cases does.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import multiprocessing
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

from pytest_kaizen.gate import SequentialTest, TaskDraws
from pytest_kaizen.models import Outcome

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "alpacaeval_judge_scores.json"
DISTANCES = (0.0, 0.05, 0.1, 0.2, 0.3)
CONFIDENCE = 0.95
LIMIT = 805
SMALLEST_EFFECT = 0.05
CUT = 0.5
OURS = "sequential gate"
RIVAL = "pytest-probability"

Ruling = tuple[Outcome, int]
Method = Callable[[Sequence[float], float], Ruling]


@dataclass
class Tally:
    """Verdicts of one method at one distance of the bar from the mean."""

    passed: int = 0
    failed: int = 0
    undecided: int = 0
    wrong: int = 0
    samples: list[int] = field(default_factory=list)

    def add(self, ruling: Ruling, mean: float, bar: float) -> None:
        outcome, samples = ruling
        self.passed += outcome is Outcome.PASS
        self.failed += outcome is Outcome.FAIL
        self.undecided += outcome is Outcome.UNDECIDED
        self.wrong += outcome is (Outcome.PASS if mean < bar else Outcome.FAIL) and mean != bar
        self.samples.append(samples)


Tallies = dict[tuple[str, float], Tally]


def sequential(draws: Iterable[float], bar: float) -> Ruling:
    test = SequentialTest(bar, CONFIDENCE)
    for draw in draws:
        if test.update(draw) is not None:
            break
    return test.outcome or Outcome.UNDECIDED, len(test.draws)


def mean_of(count: int) -> Method:
    def judge(draws: Sequence[float], bar: float) -> Ruling:
        return (Outcome.PASS if sum(draws[:count]) / count >= bar else Outcome.FAIL), count

    return judge


def z_test_size() -> int:
    """Samples for 80 % power at the smallest effect, knowing only that scores lie in [0, 1]."""
    z = NormalDist().inv_cdf(CONFIDENCE) + NormalDist().inv_cdf(0.8)
    return round((z * 0.5 / SMALLEST_EFFECT) ** 2)


def z_test(draws: Sequence[float], bar: float) -> Ruling:
    count = z_test_size()
    mean = sum(draws[:count]) / count
    spread = (sum((draw - mean) ** 2 for draw in draws[:count]) / (count - 1) / count) ** 0.5
    reach = NormalDist().inv_cdf(CONFIDENCE) * spread
    if abs(mean - bar) <= reach:
        return Outcome.UNDECIDED, count
    return (Outcome.PASS if mean > bar else Outcome.FAIL), count


def probability_gate(interval: Callable[[int, int], tuple[float, float]]) -> Method:
    """The rule of ``pytest-probability --prob-stop=sequential`` on pass/fail draws."""

    def judge(draws: Sequence[float], bar: float) -> Ruling:
        passes = 0
        for count, draw in enumerate(draws, 1):
            passes += draw > 0
            low, high = interval(passes, count)
            if low > bar:
                return Outcome.PASS, count
            if high < bar:
                return Outcome.FAIL, count
        return Outcome.UNDECIDED, len(draws)

    return judge


def rivals() -> dict[str, Method]:
    """The nearest rival's own confidence sequence, nothing where it is not installed.

    Its interval is two-sided: at 95 % each wrong verdict has 2.5 %, at 90 % the 5 % of our gate.
    """
    try:
        stats: Any = importlib.import_module("pytest_probability.stats")
    except ImportError:
        return {}

    def at(level: float) -> Method:
        return probability_gate(functools.cache(lambda x, n: stats.confidence_sequence(x, n, level)))

    return {RIVAL: at(CONFIDENCE), f"{RIVAL} 0.9": at(2 * CONFIDENCE - 1)}


def judge_model(job: tuple[str, list[float], int]) -> tuple[str, Tallies, Tallies]:
    """Judge one model by all methods, on its scores and on pass/fail at the cut."""
    name, scores, runs = job
    methods: dict[str, Method] = {OURS: sequential, "fixed-n z-test": z_test}
    methods |= {f"mean of {count}": mean_of(count) for count in (1, 3, 5, 10)}
    binary: dict[str, Method] = {OURS: sequential} | rivals()
    cut = [float(score >= CUT) for score in scores]
    rng = random.Random(name)
    on_scores: Tallies = {}
    on_passes: Tallies = {}
    for _ in range(runs):
        picks = rng.choices(range(len(scores)), k=LIMIT)
        judge_draws(on_scores, methods, [scores[pick] for pick in picks], sum(scores) / len(scores))
        judge_draws(on_passes, binary, [cut[pick] for pick in picks], sum(cut) / len(cut))
    return name, on_scores, on_passes


def judge_draws(tallies: Tallies, methods: dict[str, Method], draws: Sequence[float], mean: float) -> None:
    for distance in DISTANCES:
        for bar in {mean - distance, mean + distance}:
            if 0 < bar < 1:
                for method, judge in methods.items():
                    tally = tallies.setdefault((method, distance), Tally())
                    tally.add(judge(draws, bar), mean, bar)


def print_tallies(title: str, tallies: Sequence[Tallies]) -> None:
    """Print shares over all models, and the worst single model's error."""
    print(f"\n{title}")
    print(
        f"{'bar at':>11}  {'method':<22} {'wrong':>7} {'worst model':>12} "
        f"{'undecided':>10} {'samples':>8} {'90%':>5}"
    )
    methods = list(dict.fromkeys(method for method, _ in tallies[0]))
    for distance in DISTANCES:
        for method in methods:
            parts = [part[method, distance] for part in tallies if (method, distance) in part]
            if not parts:
                continue
            samples = sorted(count for part in parts for count in part.samples)
            total = len(samples)
            # At the mean itself neither verdict is right: the larger of the two errors is shown.
            errors = ("wrong",) if distance else ("passed", "failed")
            wrong = max(sum(getattr(part, name) for part in parts) / total for name in errors)
            worst = max(getattr(part, name) / len(part.samples) for part in parts for name in errors)
            undecided = sum(part.undecided for part in parts) / total
            where = f"mean +-{distance:g}" if distance else "the mean"
            print(
                f"{where:>11}  {method:<22} {wrong:7.1%} {worst:12.1%} {undecided:10.1%} "
                f"{sum(samples) / total:8.1f} {samples[int(0.9 * total)]:5}"
            )


def print_orders(models: dict[str, list[float]], seeds: int) -> None:
    """Print what the order in which cases enter does, easy cases first and otherwise."""
    names = list(models)
    count = len(models[names[0]])
    ease = [sum(models[name][case] for name in names) / len(names) for case in range(count)]
    orders = {
        "easy cases first": sorted(range(count), key=lambda case: -ease[case]),
        "hard cases first": sorted(range(count), key=lambda case: ease[case]),
        "clustered (50 easy, 50 hard, ...)": clustered(ease),
    }
    print(f"\nOrder of the cases (each once, bars at the mean +- {', '.join(map(str, DISTANCES[1:]))})")
    print(f"{'file order':<36} {'as in the file':>15} {'ours':>8}")
    for title, order in orders.items():
        ours, theirs = Tally(), Tally()
        for name in names:
            scores = [models[name][case] for case in order]
            mean = sum(scores) / count
            for distance in DISTANCES[1:]:
                for bar in (mean - distance, mean + distance):
                    if 0 < bar < 1:
                        theirs.add(sequential(scores, bar), mean, bar)
                        for seed in range(seeds):
                            ours.add(sequential(in_our_order(scores, seed), bar), mean, bar)
        print(f"{title:<36} {theirs.wrong / len(theirs.samples):15.1%} {ours.wrong / len(ours.samples):8.1%}")


def clustered(ease: Sequence[float], size: int = 50) -> list[int]:
    by_ease = sorted(range(len(ease)), key=lambda case: -ease[case])
    half = (len(by_ease) + 1) // 2
    easy, hard = by_ease[:half], by_ease[half:]
    return [
        case for start in range(0, half, size) for part in (easy, hard) for case in part[start : start + size]
    ]


@functools.cache
def our_order(count: int, seed: int) -> tuple[int, ...]:
    schedule = TaskDraws((f"{case:04}" for case in range(count)), seed=seed).schedule()
    return tuple(int(next(schedule)[0]) for _ in range(count))


def in_our_order(scores: Sequence[float], seed: int) -> list[float]:
    return [scores[case] for case in our_order(len(scores), seed)]


def plot(path: Path, tallies: Sequence[Tallies]) -> None:
    """Draw wrong verdicts against samples, a line per method, a point per distance."""
    try:
        pyplot: Any = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install matplotlib")
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for method in dict.fromkeys(method for method, _ in tallies[0]):
        points = []
        for distance in DISTANCES[1:]:
            parts = [part[method, distance] for part in tallies if (method, distance) in part]
            samples = [count for part in parts for count in part.samples]
            points.append((sum(samples) / len(samples), sum(part.wrong for part in parts) / len(samples)))
        axes.plot(*zip(*points, strict=True), marker="o", label=method)
    axes.axhline(1 - CONFIDENCE, color="grey", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("samples (mean)")
    axes.set_ylabel("wrong verdicts")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title("Real judge scores of 28 models, bar at the mean +- 0.05, 0.1, 0.2, 0.3", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    print(f"\nwrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="the judge scores (JSON)")
    parser.add_argument("--draws", type=int, default=200, help="runs for each model and bar")
    parser.add_argument("--plot", type=Path, help="write wrong verdicts against samples (.svg, .png)")
    args = parser.parse_args()
    if not args.data.exists():
        sys.exit(f"no judge scores at {args.data}; give their file with --data")
    rows = json.loads(args.data.read_text(encoding="utf-8"))["models"]
    whole = {name: scores for name, scores in rows.items() if None not in scores}
    jobs = [
        (name, [score for score in scores if score is not None], args.draws) for name, scores in rows.items()
    ]
    with multiprocessing.Pool() as pool:
        results = pool.map(judge_model, jobs, chunksize=1)
    on_scores = [result[1] for result in results]
    print(
        f"{len(jobs)} models, {args.draws} runs for each bar, at most {LIMIT} samples, "
        f"confidence {CONFIDENCE}"
    )
    print_tallies("Scores in [0, 1]", on_scores)
    print_tallies(f"Pass/fail: score >= {CUT}", [result[2] for result in results])
    if not rivals():
        print(f"({RIVAL} is not installed, so it is not compared with)")
    print_orders(whole, max(1, args.draws // 20))
    if args.plot:
        plot(args.plot, on_scores)


if __name__ == "__main__":
    main()
