"""The estimate in plain words: the answer, the verdict's reasons, what was left out and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from noholdout_shared.inference import POWER
from noholdout_shared.render import effect_text, interval_text, p_text

if TYPE_CHECKING:
    from noholdout_shared.checks import Check
    from noholdout_shared.estimate import Estimate

VERDICT_TITLES = {"sound": "Sound", "caution": "Use with caution", "do-not-use": "Do not use"}
VERDICT_WORDS = {
    "sound": "No check found a violation that would change the answer.",
    "caution": "Use the number with the cautions below.",
    "do-not-use": "Do not use the number: the design fails here.",
}
STATUS_WORDS = {
    "fail": "failed",
    "caution": "caution",
    "cannot-be-tested": "can't be tested",
    "pass": "passed",
}

# Parts of a setting's name by which the settings say what was left out or changed.
LEFT_OUT = (
    "drop", "trim", "clip", "exclu", "discard", "ignored", "removed", "never_", "left_out",
    "always_treated", "absent", "not_in_log", "weight_zero",
)  # fmt: skip
WHY = {
    "rows_dropped_missing": "an empty cell in a column that the analysis needs (--missing drop)",
    "units_never_empty": "no launch date: never treated, kept as a comparison",
    "units_never_infinite": "an infinite launch date: never treated, kept as a comparison",
    "units_never_zero": "launch date 0, before the first period: never treated, kept",
    "units_never_after_last_period": "a launch after the last period: never treated here, kept",
    "units_always_treated": "treated from the first period on: no before to compare with",
    "unit_periods_absent": "no row for that unit and period: their cells use the units seen",
    "effects_without_controls_dropped": "waves and periods with no untreated group left",
    "effects_without_own_rows_dropped": "waves and periods without rows of their own",
    "cells_of_waves_without_effect_dropped": "periods of waves for which no effect can be told",
    "cells_without_overlap_dropped": "waves and periods without comparable groups",
    "dropped_collinear": "columns that repeat others",
    "clipped_scores": "chances of opting in moved away from 0 and 1",
    "trimmed_rows": "rows without a counterpart in the other arm, left out as asked",
    "rows_left_out_by_donut": "too near the cutoff, left out as asked (--donut)",
    "rows_left_out_of_mixed_bin": "the rounded scores of the cutoff itself, left out as asked",
    "rows_with_weight_zero": "their weight says that they count for nothing",
    "rows_left_out_that_trained": "rows that trained the score don't judge it (--trained-on)",
    "donors_dropped": "units that can't serve as donors",
    "periods_dropped": "periods that can't be used",
}


def answer_sentence(estimate: Estimate) -> str:
    """One sentence: the effect, its interval, and whether it holds zero."""
    if math.isnan(estimate.estimate):
        return f"The effect on {estimate.outcome} could not be computed ({estimate.inference})."
    effect = effect_text(estimate.estimate, estimate.proportion)
    said = f"The effect on {estimate.outcome} is estimated at {effect}"
    if math.isnan(estimate.conf_low):
        return f"{said}, without an interval ({estimate.inference})."
    said += f" ({interval_text(estimate)})"
    if estimate.conf_low > 0 or estimate.conf_high < 0:
        return f"{said}; zero lies outside the interval."
    reach = effect_text(estimate.smallest_effect, estimate.proportion, signed=False)
    return (
        f"{said}; zero lies inside the interval, "
        f"and these data could have found {reach} or more with {POWER:.0%} power."
    )


def margin_answer(estimate: Estimate) -> tuple[str, str] | None:
    """The margin question and its answer, or ``None`` when it wasn't asked."""
    if estimate.margin is None:
        return None
    question = f"Is it not worse than {effect_text(-estimate.margin, estimate.proportion)}?"
    p_value = estimate.not_worse_p
    if math.isnan(p_value):
        return question, "Undefined, as the standard error is."
    level = 1 - estimate.conf_level
    if p_value < level:
        return question, f"Yes (one-sided {p_text(p_value)}, asked {level:.2g})."
    return question, f"Not shown (one-sided {p_text(p_value)}, asked {level:.2g})."


def tiles(estimate: Estimate) -> list[tuple[str, str, str]]:
    """(label, number, words below it) of what a reader looks for first."""
    effect = effect_text(estimate.estimate, estimate.proportion)
    level = f"{100 * estimate.conf_level:g}% interval"
    reach = effect_text(estimate.smallest_effect, estimate.proportion, signed=False)
    rows = f"{estimate.n_treated:,} treated, {estimate.n_control:,} not"
    if estimate.n_clusters is not None:
        rows += f"; {estimate.n_clusters:,} clusters"
    return [
        ("Effect", effect, estimate.estimand),
        (level, interval_text(estimate).removeprefix(f"{level} "), p_text(estimate.p_value)),
        ("Could have found", reach, f"or more, with {POWER:.0%} power"),
        ("Rows", f"{estimate.n_obs:,}", rows),
    ]


def verdict_reasons(estimate: Estimate) -> list[str]:
    """The messages of the checks that made the verdict, the worst first."""
    return [check.message for check in ordered_checks(estimate) if check.status in GUILTY]


GUILTY = ("fail", "caution")


def ordered_checks(estimate: Estimate) -> list[Check]:
    """The checks, the worst first; those of one status keep their order."""
    order = list(STATUS_WORDS)
    return sorted(estimate.checks, key=lambda check: order.index(check.status))


def tally(estimate: Estimate) -> str:
    """``9 passed, 1 caution, 2 can't be tested``."""
    counts = dict.fromkeys(STATUS_WORDS, 0)
    for check in estimate.checks:
        counts[check.status] += 1
    return ", ".join(f"{n} {STATUS_WORDS[status]}" for status, n in counts.items() if n)


def left_out(settings: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, how much, why) for each setting that says what was dropped, clipped or trimmed."""
    return [
        (label(name), value_text(value), WHY.get(name, ""))
        for name, value in settings.items()
        if any(part in name for part in LEFT_OUT) and not _nothing(value)
    ]


def _nothing(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_nothing(item) for item in value.values())
    return value is None or value in (0, "", [], (), False)


def label(name: str) -> str:
    """A setting's or column's name with spaces."""
    return name.replace("_", " ")


def value_text(value: Any) -> str:
    """A setting or a table cell as short text."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return "; ".join(f"{label(str(k))} {value_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        shown = ", ".join(value_text(item) for item in value[:12])
        return (shown + (f" and {len(value) - 12} more" if len(value) > 12 else "")) or "none"
    return str(value).removesuffix("T00:00:00.000000")
