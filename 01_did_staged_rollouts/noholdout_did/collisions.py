"""Other changes that fall on the launch, and launches that weren't on: what a rollout log shows.

If the other change adds the same to every outcome that it touches, the group-time average of the
outcome contains the same average of that change's own switch, taken as an outcome, times what it
adds. So that average says how much of the other change is mixed in: 1 is all of it, 0 none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, Status, structural, untestable
from noholdout_shared.render import effect_text

from noholdout_did.effects import identified_cells, rollout_moments
from noholdout_did.kernels.aggregate import aggregate
from noholdout_did.kernels.group_time import Cells, contrasts
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import Options
from noholdout_did.result import DidEstimate, period_label
from noholdout_did.rollout import Rollout
from noholdout_did.rollout_log import Changes

CAUTION_SHARE = 0.05  # of another change, mixed into the answer
FAIL_SHARE = 0.5
DILUTED = 0.9  # of the treated side's use of the launch, over the comparison's


@dataclass(frozen=True)
class Collision:
    """Another change and the comparison.

    Parameters
    ----------
    flag
        Its name.
    first, last
        Indices of the first and the last period in which it changed within a comparison.
    treated, comparison
        Units on either side that it changed for within a comparison.
    units_treated, units_comparison
        Units on either side.
    net
        Share of the change in the answer.
    gross
        The same without regard to sign by cell, so that opposite cells don't cancel.
    """

    flag: str
    first: int
    last: int
    treated: int
    comparison: int
    units_treated: int
    units_comparison: int
    net: float
    gross: float

    @property
    def where(self) -> str:
        if self.treated and self.comparison:
            return "both sides"
        return "treated only" if self.treated else "comparison only"


def with_log_checks(result: DidEstimate, rollout: Rollout, options: Options) -> DidEstimate:
    """The result with what the rollout log says: check ``collisions`` and
    ``dilution`` (by intention to treat) or ``exposure``.

    Shares are those of the group-time average, whatever the estimator.
    """
    changes = rollout.changes
    if changes is None:
        return result
    data = rollout_moments(rollout)
    cells, _ = identified_cells(data, options)
    found = [
        collision
        for flag in changes.state
        if flag != changes.flag
        and (collision := _collision(flag, rollout, changes, data, cells, options)) is not None
    ]
    found.sort(key=lambda c: -c.gross)
    if changes.treated_by == "exposure":
        own = _exposure(rollout)
    else:
        own = _dilution(_mixed_in(changes.state[changes.flag], rollout, cells, options)[0], rollout)
    return replace(
        result,
        checks=(*result.checks, _collision_check(found, changes, result, rollout), own),
        tables={**result.tables, "collisions": _table(found, result, rollout)},
    )


def _mixed_in(
    state: np.ndarray, rollout: Rollout, cells: Cells, options: Options
) -> tuple[float, float]:
    """The group-time average of a switch, and the same of its cells' absolute values."""
    assert rollout.log_unit is not None
    data = rollout_moments(replace(rollout, y=state[rollout.log_unit, rollout.period]))
    att = contrasts(data, cells)
    overall, _ = aggregate(data, att, cells, options.aggregate, options.balance)
    return float(overall.linear.value[0]), float(overall.weights[:, 0] @ np.abs(att.value))


def _collision(
    flag: str,
    rollout: Rollout,
    changes: Changes,
    data: Moments,
    cells: Cells,
    options: Options,
) -> Collision | None:
    """How a change meets the comparison; ``None`` when it changed nothing within it."""
    state = changes.state[flag]
    post = cells.take(cells.period >= data.launch[cells.cohort])
    cohort_of = np.full(rollout.n_periods + 1, -1)
    cohort_of[data.launch] = np.arange(len(data.launch))
    present = np.zeros(len(state), dtype=bool)
    present[rollout.log_unit] = True
    cohort = np.where(present, cohort_of[changes.launch], -1)
    sides = (np.zeros(len(state), dtype=bool), np.zeros(len(state), dtype=bool))
    members = (np.zeros(len(state), dtype=bool), np.zeros(len(state), dtype=bool))
    steps = np.zeros(rollout.n_periods, dtype=bool)
    for i in range(len(post)):
        b, t = int(post.base[i]), int(post.period[i])
        low, high = min(b, t), max(b, t)
        moved = state[:, b] != state[:, t]
        mine = cohort == post.cohort[i]
        controls = (cohort >= 0) & post.control[i][cohort]
        for side, member, who in zip(sides, members, (mine, controls), strict=True):
            side |= who & moved
            member |= who
        touched = state[(mine | controls) & moved, low : high + 1]
        steps[low + 1 : high + 1] |= (np.diff(touched, axis=1) != 0).any(axis=0)
    if not steps.any():
        return None
    net, gross = _mixed_in(state, rollout, cells, options)
    when = np.flatnonzero(steps)
    return Collision(
        flag=flag,
        first=int(when[0]),
        last=int(when[-1]),
        treated=int(sides[0].sum()),
        comparison=int(sides[1].sum()),
        units_treated=int(members[0].sum()),
        units_comparison=int(members[1].sum()),
        net=net,
        gross=gross,
    )


def _collision_check(
    found: list[Collision], changes: Changes, result: DidEstimate, rollout: Rollout
) -> Check:
    assumption = "Nothing else changed for one side only between the periods compared."
    others = len(changes.state) - 1
    mixed = [c for c in found if c.gross >= CAUTION_SHARE]
    alike = len(found) - len(mixed)
    looked = f"{others} other change{'s' * (others != 1)} in the log"
    if not mixed:
        meets = f"; {alike} fall within a comparison and hit both sides alike" if alike else ""
        return structural(
            "collisions",
            assumption,
            "pass",
            max((c.gross for c in found), default=0.0),
            f"Of {looked}, none sets the two sides apart{meets}. What the log doesn't hold can't "
            "be seen.",
        )
    status: Status = "fail" if mixed[0].gross >= FAIL_SHARE else "caution"
    shown = "; ".join(_words(c, result, rollout) for c in mixed[:3])
    more = f"; and {len(mixed) - 3} more (table collisions)" if len(mixed) > 3 else ""
    return structural(
        "collisions",
        assumption,
        status,
        mixed[0].gross,
        f"Of {looked}, {len(mixed)} set{'s' * (len(mixed) == 1)} the sides apart: {shown}{more}. "
        "No data can tell such a change from the launch: leave those units or periods out, or, if "
        "it can't have moved the outcome, leave it out of the log.",
    )


def _words(c: Collision, result: DidEstimate, rollout: Rollout) -> str:
    first, last = (_label(rollout, i) for i in (c.first, c.last))
    when = first if first == last else f"{first} to {last}"
    text = (
        f"{c.flag!r} ({when}: {c.treated:,} of {c.units_treated:,} treated units, "
        f"{c.comparison:,} of {c.units_comparison:,} in comparison), of which {c.net:+.0%} is in "
        "the answer"
    )
    if abs(c.net) >= CAUTION_SHARE:
        size = effect_text(result.estimate / c.net, result.proportion)
        text += f" (an effect of {size} of its own would explain all of it)"
    return text


def _dilution(first_stage: float, rollout: Rollout) -> Check:
    assert rollout.changes is not None
    counts = rollout.changes.settings["rollout_log"]
    off = counts["units_switched_off_later"]
    found = (
        f"The treated side had the launch switched on {first_stage:.0%} more than the comparison "
        f"({off:,} of {counts['units_launched']:,} launched units were switched off later; they "
        "count as treated from their first launch on)."
    )
    assumption = "Those who count as treated had the launch, the others didn't."
    if first_stage >= DILUTED:
        return structural("dilution", assumption, "pass", first_stage, found)
    return structural(
        "dilution",
        assumption,
        "caution",
        first_stage,
        f"{found} The answer is about having been launched to; having it throughout would count "
        + (f"about {1 / first_stage:.1f} times as much." if first_stage > 0 else "differently."),
    )


def _exposure(rollout: Rollout) -> Check:
    assert rollout.changes is not None
    never = rollout.changes.settings["rollout_log"]["units_eligible_never_exposed"]
    return untestable(
        "exposure",
        "When a unit was first exposed has nothing to do with where its outcome was heading.",
        f"Treatment starts at first exposure, which units bring about themselves; {never:,} that "
        "had it switched on were never exposed and count as comparison. Compare with "
        "--treated-by intention-to-treat: if the two disagree by more than who used it explains, "
        "believe that one.",
        float(never),
    )


def _table(found: list[Collision], result: DidEstimate, rollout: Rollout) -> pd.DataFrame:
    columns = [
        *("change", "first", "last", "hits", "treated_units", "comparison_units"),
        *("share_in_answer", "effect_that_explains_all"),
    ]
    rows = [
        (
            c.flag,
            period_label(rollout.periods, c.first),
            period_label(rollout.periods, c.last),
            c.where,
            c.treated,
            c.comparison,
            c.net,
            result.estimate / c.net if abs(c.net) > 1e-9 else np.nan,
        )
        for c in found
    ]
    return pd.DataFrame(rows, columns=columns)


def _label(rollout: Rollout, index: int) -> str:
    label = period_label(rollout.periods, index)
    return label.date().isoformat() if isinstance(label, pd.Timestamp) else str(label)
