"""An estimate as text for a terminal of 80 columns, and as HTML for a notebook."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from noholdout_shared.inference import POWER

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

STATUS_STYLE = {
    "pass": "green",
    "caution": "yellow",
    "fail": "bold red",
    "cannot-be-tested": "cyan",
    "sound": "bold green",
    "do-not-use": "bold red",
}


def effect_text(value: float, proportion: bool, *, signed: bool = True) -> str:
    """An effect in the outcome's units: ``+4.9 points`` for a share, four digits otherwise."""
    if math.isnan(value):
        return "undefined"
    sign = "+" if signed else ""
    if proportion:
        return f"{100 * value:{sign}.2f} points"
    return f"{value:{sign},.4g}" if abs(value) < 1e6 else f"{value:{sign},.0f}"


def p_text(p_value: float) -> str:
    """``p < 0.001`` or ``p = 0.034``; ``p undefined`` for ``nan``."""
    if math.isnan(p_value):
        return "p undefined"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def interval_text(estimate: Estimate) -> str:
    """``95% interval +2.6 to +7.6 points``."""
    level = f"{100 * estimate.conf_level:g}% interval"
    if math.isnan(estimate.conf_low):
        return f"{level} undefined"
    low = effect_text(estimate.conf_low, estimate.proportion).removesuffix(" points")
    return f"{level} {low} to {effect_text(estimate.conf_high, estimate.proportion)}"


def margin_text(estimate: Estimate) -> str | None:
    """The answer to "not worse than -margin?", or ``None`` when it wasn't asked."""
    if estimate.margin is None:
        return None
    margin = effect_text(-estimate.margin, estimate.proportion)
    p_value = estimate.not_worse_p
    if math.isnan(p_value):
        return f"not worse than {margin}: undefined, as the standard error is"
    answer = "yes" if p_value < 1 - estimate.conf_level else "not shown"
    return f"not worse than {margin}: {answer} (one-sided {p_text(p_value)})"


def headline_rows(estimate: Estimate) -> list[tuple[str, str]]:
    """The answer as (label, text) rows, shared by the terminal, HTML and the report."""
    proportion = estimate.proportion
    counts = f"{estimate.n_obs:,} rows ({estimate.n_treated:,} treated, {estimate.n_control:,} not)"
    if estimate.n_clusters is not None:
        counts += f", {estimate.n_clusters:,} clusters"
    rows = [
        ("estimand", estimate.estimand),
        ("effect", f"{effect_text(estimate.estimate, proportion)} on {estimate.outcome}"),
        ("interval", f"{interval_text(estimate)}; {p_text(estimate.p_value)}"),
        (
            "could find",
            f"{effect_text(estimate.smallest_effect, proportion, signed=False)} or more, "
            f"with {POWER:.0%} power",
        ),
        ("inference", estimate.inference),
        ("data", counts),
    ]
    if "sample" in estimate.settings:
        rows.append(("sample", str(estimate.settings["sample"])))
    if estimate.calibration is not None:
        rows.append(("calibration", str(estimate.calibration.get("text", "run"))))
    asked = margin_text(estimate)
    if asked is not None:
        rows.insert(3, ("margin", asked))
    rows.extend(estimate.further_rows)
    return rows


def renderable(estimate: Estimate) -> RenderableType:
    """The estimate for a rich console."""
    head = Table.grid(padding=(0, 2))
    head.add_column(style="dim", no_wrap=True)
    head.add_column()
    for label, text in headline_rows(estimate):
        head.add_row(label, Text(text))
    verdict = Text(estimate.verdict, style=STATUS_STYLE[estimate.verdict])
    head.add_row("verdict", _with_rate(verdict, estimate, "verdict"))
    parts: list[RenderableType] = [
        Text(estimate.method, style="bold"),
        Padding(head, (0, 0, 0, 2)),
    ]
    if "estimators" in estimate.tables:
        parts += [Text("estimators", style="bold"), Padding(_side_by_side(estimate), (0, 0, 0, 2))]
    parts += [Text("checks", style="bold"), Padding(_checks(estimate), (0, 0, 0, 2))]
    return Group(*parts)


def _checks(estimate: Estimate) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for check in estimate.checks:
        status = "untestable" if check.status == "cannot-be-tested" else check.status
        message = _with_rate(Text(check.message), estimate, check.name)
        grid.add_row(Text(status, style=STATUS_STYLE[check.status]), check.name, message)
    return grid


def _side_by_side(estimate: Estimate) -> Table:
    """The table ``estimators`` , of several answers to one question."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(no_wrap=True)
    for row in estimate.tables["estimators"].to_dict("records"):
        one = replace(estimate, **{name: row[name] for name in ("conf_low", "conf_high")})
        effect = effect_text(row["estimate"], estimate.proportion)
        grid.add_row(str(row["estimator"]), effect, interval_text(one))
    return grid


def _with_rate(text: Text, estimate: Estimate, name: str) -> Text:
    measured = estimate.measured(name)
    if measured is not None:
        text.append(f" ({measured['text']})", style="dim")
    return text


def summary_text(estimate: Estimate, width: int = 80) -> str:
    """The estimate as plain text of at most ``width`` columns."""
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        legacy_windows=False,
        force_jupyter=False,
    )
    with console.capture() as capture:
        console.print(renderable(estimate))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def summary_html(estimate: Estimate) -> str:
    """The estimate as an HTML fragment; every text is escaped."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("noholdout_shared"), autoescape=True)
    template = environment.get_template("estimate.html")
    return template.render(estimate=estimate, rows=headline_rows(estimate))
