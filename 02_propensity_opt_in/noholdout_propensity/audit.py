"""The opt-in audit: every estimator side by side, and one page that says what to make of it."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from noholdout_shared.checks import Check
from noholdout_shared.errors import NoholdoutError
from noholdout_shared.inference import interval
from noholdout_shared.jsonable import records
from noholdout_shared.render import effect_text, p_text

from noholdout_propensity.estimators.common import Build
from noholdout_propensity.inference import spread_of
from noholdout_propensity.problem import Problem
from noholdout_propensity.ratio import naive_difference, settled
from noholdout_propensity.result import PropensityEstimate

WIDTH = 80
GATES = ("separation", "overlap", "empty_regions")
SHOWN = (*GATES, "balance", "negative_controls", "hidden_confounder")  # each in a section
TIMES_IN_WORDS = {1.0: "as strong as", 2.0: "twice as strong as"}


def with_all_estimators(
    answer: PropensityEstimate,
    problem: Problem,
    chosen: str,
    estimators: Sequence[str],
    build: Callable[[str], Build],
) -> PropensityEstimate:
    """The answer with the table ``estimators``: each with its own interval and rows.

    An estimator that can't answer here stands in ``settings`` with its reason. The others have
    neither the answer's trimming (but for ipw and aipw) nor its caliper: ``n_obs`` says so.
    """
    rows = problem.count(problem.treated >= 0)
    # No interval: it would be one around another quantity than the effect.
    naive = _row("naive", *naive_difference(problem), math.nan, math.nan, rows)
    records: list[dict[str, Any]] = [naive]
    skipped: dict[str, str] = {}
    for name in estimators:
        if name == chosen:
            span = (answer.std_error, answer.conf_low, answer.conf_high)
            records.append(_row(name, answer.estimate, *span, answer.n_obs))
            continue
        if name == "matching" and problem.options.weights is not None:
            skipped[name] = "it doesn't take sampling weights"
            continue
        try:
            fit = settled(problem, build(name))[1]
        except NoholdoutError as error:
            skipped[name] = error.problem
            continue
        if fit.separation:
            skipped[name] = fit.separation
            continue
        spread = spread_of(problem, fit)
        own = interval(fit.estimate, spread.std_error, problem.options.conf_level, spread.df)
        n_obs = rows if fit.kept is None else problem.count(fit.kept)
        span = (own.std_error, own.conf_low, own.conf_high)
        records.append(_row(name, fit.estimate, *span, n_obs))
    table = pd.DataFrame(records)
    settings = {**answer.settings, "estimators_not_run": skipped}
    if problem.options.inference == "bootstrap":
        settings["estimators_inference"] = f"bootstrap for {chosen} alone; the others' are analytic"
    return dataclasses.replace(
        answer, tables={**answer.tables, "estimators": table}, settings=settings
    )


def _row(
    name: str, estimate: float, error: float, low: float, high: float, n_obs: int
) -> dict[str, Any]:
    return {
        "estimator": name,
        "estimate": estimate,
        "std_error": error,
        "conf_low": low,
        "conf_high": high,
        "n_obs": n_obs,
    }


def abstains(answer: PropensityEstimate) -> bool:
    """Whether the audit has no answer to give: overlap fails."""
    return any(check.status == "fail" for check in answer.checks if check.name in GATES)


def withheld(answer: PropensityEstimate) -> PropensityEstimate:
    """The answer of an audit that abstains: why, and neither an effect nor what rests on one."""
    told = ("hidden_confounder", "specification", "negative_controls")
    tables = ("balance", "weights", "distributions")
    hidden = ("mean_treated", "mean_control", "regression_estimate", "regression_error")
    return dataclasses.replace(
        answer,
        estimate=math.nan,
        std_error=math.nan,
        conf_low=math.nan,
        conf_high=math.nan,
        p_value=math.nan,
        inference=answer.inference if math.isnan(answer.std_error) else "withheld: overlap fails",
        checks=tuple(check for check in answer.checks if check.name not in told),
        tables={name: answer.tables[name] for name in tables},
        settings={name: value for name, value in answer.settings.items() if name not in hidden},
    )


def audit_page(answer: PropensityEstimate) -> str:
    """The audit as text of 80 columns: overlap, balance, estimators, controls, hidden causes.

    When overlap fails it abstains: it shows why, and no effect.
    """
    title = f"Opt-in audit: {answer.outcome}, {answer.estimand}"
    lines = [*textwrap.wrap(title, WIDTH), "=" * WIDTH]
    gates = [check for check in answer.checks if check.name in GATES]
    lines += _section("1. Overlap: who can be compared", [c.message for c in gates])
    covers = answer.settings.get("covers")
    if covers:
        lines += _wrapped(f"The answer covers {covers}.")
    if abstains(answer):
        # Where a covariate decides the choice, no weights exist for that population either.
        apart = answer.check("separation").status == "pass"
        lines += _section(
            "No answer",
            [
                "Overlap fails, so any effect would be made up by the models for users who have "
                "no counterpart. Leave those users out"
                + (", or ask for the overlap population." if apart else "."),
            ],
        )
        return "\n".join(lines)
    lines += _section("2. Balance", [answer.check("balance").message])
    lines += _balance_rows(answer)
    lines += _section("3. All estimators side by side", [])
    lines += _estimator_rows(answer)
    lines += _section("4. What the feature can't have changed", _control_lines(answer))
    lines += _section("5. A hidden cause", [answer.check("hidden_confounder").message])
    lines += _strength_rows(answer)
    raised = [check for check in answer.checks if check.status in ("caution", "fail")]
    further = [check.message for check in raised if check.name not in SHOWN]
    lines += _section("Verdict", [f"{answer.verdict}. {_reasons(raised)}", *further])
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _section(title: str, paragraphs: Sequence[str]) -> list[str]:
    lines = ["", title]
    for paragraph in paragraphs:
        lines += _wrapped(paragraph)
    return lines


def _balance_rows(answer: PropensityEstimate) -> list[str]:
    table = answer.tables["balance"]
    worst = table.loc[table["smd_before"].abs().sort_values(ascending=False).index][:6]
    rows = [f"  Differences of means, standardised by the {answer.settings['smd_denominator']}:"]
    rows.append(f"  {'covariate':<34}{'before':>9}{'after':>9}")
    for row in records(worst):
        name = str(row["covariate"])[:33]
        rows.append(f"  {name:<34}{row['smd_before']:>+9.3f}{row['smd_after']:>+9.3f}")
    return rows


def _estimator_rows(answer: PropensityEstimate) -> list[str]:
    rows = []
    table = answer.tables["estimators"]
    for row in records(table):
        value = effect_text(row["estimate"], answer.proportion)
        if row["conf_low"] is None:
            span = "no interval: not an answer" if row["estimator"] == "naive" else "undefined"
        else:
            low = effect_text(row["conf_low"], answer.proportion).removesuffix(" points")
            span = f"{low} to {effect_text(row['conf_high'], answer.proportion)}"
        rows.append(f"  {row['estimator']:<20}{value:>15}   {span}")
    elsewhere = table[table["n_obs"] != answer.n_obs]
    for n_obs, part in elsewhere.groupby("n_obs", sort=False):
        names = ", ".join(part["estimator"])
        rows += _wrapped(f"{names}: of {n_obs:,} rows, not of the answer's {answer.n_obs:,}")
    if "estimators_inference" in answer.settings:
        rows += _wrapped(f"Intervals: {answer.settings['estimators_inference']}.")
    for name, reason in answer.settings["estimators_not_run"].items():
        rows += _wrapped(f"{name}: not run, {reason}")
    return rows


def _control_lines(answer: PropensityEstimate) -> list[str]:
    if "negative_controls" not in answer.tables:
        return [
            "No negative control was named. Name activity from before the launch "
            "(--negative-controls): an effect on it would be a sign of hidden causes."
        ]
    lines = [answer.check("negative_controls").message]
    for row in records(answer.tables["negative_controls"]):
        lines.append(f"{row['outcome']}: {row['estimate']:+.4g} ({p_text(row['p_value'])})")
    return lines


def _strength_rows(answer: PropensityEstimate) -> list[str]:
    rows = []
    table = answer.tables["sensitivity"]
    positive = answer.settings["regression_estimate"] > 0
    for covariate, part in table.groupby("covariate", sort=False):
        # A cause may leave an interval that holds zero, or one on its other side.
        erased = part[(part["conf_low"] if positive else -part["conf_high"]) <= 0]
        times = part["times"].max() if erased.empty else erased["times"].min()
        words = TIMES_IN_WORDS.get(float(times), f"{times:g} times as strong as")
        ends = "would not erase the effect" if erased.empty else "would erase the effect"
        rows += _wrapped(f"- {words} {covariate}: {ends}")
    return rows


def _reasons(raised: Sequence[Check]) -> str:
    if not raised:
        return "Every check that data can make passes; a hidden cause remains possible."
    return f"Raised by {', '.join(check.name for check in raised)}."
