"""The estimate in plain words: the answer, the reasons for the verdict, what was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from noholdout_shared.inference import POWER
from noholdout_shared.render import effect_text, interval_text

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

VERDICT_WORDS = {
    "sound": "No check found a violation that would change the answer.",
    "caution": "Use the number with the cautions below.",
    "do-not-use": "Do not use the number: the design fails here.",
}

# Parts of a setting's name by which the settings say what was left out or changed.
LEFT_OUT = ("drop", "trim", "clip", "exclu", "discard", "ignored", "removed", "never_treated")


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


def verdict_reasons(estimate: Estimate) -> list[str]:
    """The messages of the checks that made the verdict, the worst first."""
    order = {"fail": 0, "caution": 1}
    guilty = [check for check in estimate.checks if check.status in order]
    return [check.message for check in sorted(guilty, key=lambda c: order[c.status])]


def left_out(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, how much) for each setting that says what was dropped, clipped or trimmed."""
    return [
        (label(name), value_text(value))
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
    return str(value)
