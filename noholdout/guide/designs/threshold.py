"""A threshold that decides the treatment: which score, where it switches, how strictly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError

from noholdout.guide.columns import Table
from noholdout.guide.designs.design import Design

# Different scores on each side, so that the score isn't a handful of groups; a rounded score may
# have few of them, if the column's name says treatment.
FEWEST_SCORES = 10
FEWEST_ROUNDED = 4
SCAN = 400  # cutoffs tried where the rule has exceptions
JUMP = 0.25  # in the treated share, from one side of the cutoff to the other
STANDS_OUT = 2.5  # times the largest jump anywhere else
CENTRED_SHARE = 0.05  # of the rows on each side of zero


@dataclass(frozen=True)
class Rule:
    """``flag`` is decided by ``score`` at ``cutoff``."""

    flag: str | None
    score: str
    cutoff: float
    side: str
    jump: float  # in the treated share at the cutoff; 1 for a rule without exceptions
    obeyed: float  # share of rows on the side that the rule says
    counts: tuple[int, int]  # rows below and above

    @property
    def sharp(self) -> bool:
        """Whether no row broke the rule."""
        return self.obeyed == 1.0


def find_rules(table: Table, flags: Sequence[str], scores: Sequence[str]) -> list[Rule]:
    """For each 0/1 column the score that decides it best, if any does."""
    rules = []
    for flag in flags:
        found = [rule for score in scores if (rule := _rule(table, flag, score)) is not None]
        if found:
            rules.append(max(found, key=lambda rule: (rule.obeyed, rule.jump)))
    return rules


def _rule(table: Table, flag: str, score: str) -> Rule | None:
    if flag == score:
        return None
    pair = table.frame[[flag, score]].dropna().to_numpy(dtype=float)
    on, values = pair[:, 0] == 1, pair[:, 1]
    if on.all() or not on.any():
        return None
    # Exceptions are looked for only where the name says treatment: many things jump a little.
    if not table.columns[flag].hints_at("treatment"):
        return _sharp(flag, score, values, on, FEWEST_SCORES)
    sharp = _sharp(flag, score, values, on, FEWEST_ROUNDED)
    return sharp or _fuzzy(flag, score, values, on)


def _sharp(flag: str, score: str, values: np.ndarray, on: np.ndarray, fewest: int) -> Rule | None:
    treated, control = values[on], values[~on]
    if min(np.unique(treated).size, np.unique(control).size) < fewest:
        return None
    if treated.min() > control.max():
        # treated where score >= cutoff
        low, high, side = float(control.max()), float(treated.min()), "above"
    elif treated.max() < control.min():
        # treated where score < cutoff
        low, high, side = float(treated.max()), float(control.min()), "below"
    else:
        return None
    cutoff = roundest(low, high)
    counts = (int((values < cutoff).sum()), int((values >= cutoff).sum()))
    return Rule(flag, score, cutoff, side, 1.0, 1.0, counts)


def _fuzzy(flag: str, score: str, values: np.ndarray, on: np.ndarray) -> Rule | None:
    """The largest local jump of the treated share, if it stands out from all others."""
    # Ties in random order: a window may hold a part of them.
    order = np.lexsort((np.random.default_rng(0).random(values.size), values))
    values, on = values[order], on[order]
    n = values.size
    window = max(50, n // 25)
    total = np.concatenate([[0.0], np.cumsum(on)])
    # Cutoffs lie between two different scores: a tie can't be split.
    places = np.flatnonzero(np.diff(values) > 0) + 1
    places = places[(places >= window) & (places <= n - window)]
    if places.size < 2 * FEWEST_SCORES:
        return None
    steps = (total[places + window] - 2 * total[places] + total[places - window]) / window
    best = int(np.argmax(np.abs(steps)))
    apart = np.abs(places - places[best]) > 2 * window
    if not apart.any():
        return None
    jump, elsewhere = float(steps[best]), float(np.abs(steps[apart]).max())
    noise = math.sqrt(2 * on.mean() * (1 - on.mean()) / window)
    if abs(jump) < max(JUMP, STANDS_OUT * elsewhere, 4 * noise):
        return None
    at = int(places[best])
    beside = values[at - window : at], values[at : at + window]
    # A single value with many rows (nobody earned anything) is a group, not one side of a rule.
    if min(np.unique(side).size for side in beside) < 3:
        return None
    cutoff = roundest(float(values[at - 1]), float(values[at]))
    side = "above" if jump > 0 else "below"
    ruled = values >= cutoff if jump > 0 else values < cutoff
    counts = (int((values < cutoff).sum()), int((values >= cutoff).sum()))
    return Rule(flag, score, cutoff, side, abs(jump), float((ruled == on).mean()), counts)


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits in ``(low, high]``."""
    if low < 0 <= high:
        return 0.0
    for digits in range(-9, 16):
        scale = 10.0**digits
        candidate = math.floor(high * scale) / scale
        if low < candidate <= high:
            return candidate
    return high


def find_centred(table: Table, scores: Sequence[str]) -> list[Rule]:
    """Scores with both signs: often stored as the distance to a cutoff at 0."""
    rules = []
    for score in scores:
        values = table.frame[score].dropna().to_numpy(dtype=float)
        sides = values[values < 0], values[values >= 0]
        if min(len(np.unique(side)) for side in sides) < 2 * FEWEST_SCORES:
            continue
        if min(side.size for side in sides) < CENTRED_SHARE * values.size:
            continue
        counts = (sides[0].size, sides[1].size)
        rules.append(Rule(None, score, 0.0, "above", 1.0, 1.0, counts))
    return rules


def said_rule(table: Table, score: str, cutoff: float, side: str | None) -> Rule:
    """The rule that the user named."""
    values = table.frame[score].dropna().to_numpy(dtype=float)
    counts = (int((values < cutoff).sum()), int((values >= cutoff).sum()))
    if not all(counts):
        raise DataError(
            f"No {score!r} lies {'below' if not counts[0] else 'at or above'} {cutoff:g}.",
            "A cutoff needs cases on both sides.",
            f"The scores run from {values.min():g} to {values.max():g}.",
        )
    return Rule(None, score, cutoff, side or "above", 1.0, 1.0, counts)


def rule_design(table: Table, rule: Rule, outcome: str, assumed: tuple[str, ...]) -> Design:
    """The regression discontinuity of a rule."""
    below, above = rule.counts
    where = f"{rule.score} {'>=' if rule.side == 'above' else '<'} {rule.cutoff:g}"
    arguments: dict[str, Any] = {
        "outcome": outcome,
        "running": rule.score,
        "cutoff": f"{rule.cutoff:g}" if float(f"{rule.cutoff:g}") == rule.cutoff else rule.cutoff,
        "treated-side": rule.side,
    }
    if rule.flag is None:
        because = f"{rule.score} runs through {rule.cutoff:g} with {below:,} rows below."
    elif rule.sharp:
        because = f"{rule.flag} = 1 exactly where {where}, in all {below + above:,} rows."
    else:
        because = (
            f"{rule.flag} jumps by {100 * rule.jump:.0f} points at {rule.score} = "
            f"{rule.cutoff:g} and nowhere else like it; {rule.obeyed:.0%} of rows obey {where}."
        )
        arguments["treatment"] = rule.flag
    counts = f"{below:,} rows lie below the cutoff, {above:,} at or above."
    if table.any_missing([outcome, rule.score, rule.flag]):
        arguments["missing"] = "drop"
    about = rule.flag or rule.score
    return Design(
        "rdd", "Threshold" if rule.sharp else "Threshold with exceptions", about,
        (because, counts), arguments, assumed,
    )  # fmt: skip
