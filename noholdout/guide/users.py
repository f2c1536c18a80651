"""Designs of rows that are users: waves by group, thresholds, coin flips, opt-ins."""

from __future__ import annotations

from collections.abc import Sequence

from noholdout_shared.errors import DataError

from noholdout.guide.answers import Found
from noholdout.guide.columns import Table, like_an_outcome, outcome_rank
from noholdout.guide.designs.assignment import (
    assigned_by_group,
    assignment,
    coin_designs,
    covariates_for,
    opt_in_design,
)
from noholdout.guide.designs.design import Design, names_text
from noholdout.guide.designs.panel import Panel
from noholdout.guide.designs.threshold import (
    Rule,
    find_centred,
    find_rules,
    rule_design,
    said_rule,
)
from noholdout.guide.designs.waves import wave_design


def in_rows(table: Table, panel: Panel | None, found: Found) -> None:
    """Add the designs of rows that are users: waves, thresholds, coin flips, opt-ins."""
    said = found.said
    keys = {panel.unit, panel.time, *panel.same_as} if panel else set()
    restated: frozenset[str] = frozenset()
    if panel is None:
        _, restated = wave_design(table, None, said.time, said.first_treated)
    rules, centred, candidates = _who_got_it(table, keys | restated, found)
    if panel is not None and not (rules or candidates):
        return
    _name_two_words(table, found)
    if len(candidates) > 1 and not any(_treatment_by_name(table, f) for f in candidates):
        found.designs.append(_which(candidates))
        found.roles["treatment"] = candidates
        return
    taken = keys | restated | set(candidates) | {str(rule.flag) for rule in rules}
    taken |= {rule.score for rule in centred}
    outcome = found.outcome(outcome_rank(table, _possible_outcomes(table, taken)))
    if outcome is None:
        return
    if panel is None and said.treatment in {None, *restated}:
        staged, _ = wave_design(table, outcome, said.time, said.first_treated)
        if staged is None and said.first_treated is not None:
            raise DataError(
                f"--first-treated {said.first_treated!r} holds no launch dates.",
                "They must be constant within groups of rows, and lie among the periods.",
                "Name another column, and the --time that it belongs to.",
            )
        found.designs += [staged] if staged else []
    _thresholds(table, rules, centred, outcome, found)
    # A score that decided one treatment may drive another one too: it stays a covariate.
    results = {n for n in table.columns if like_an_outcome(table, n)} | {outcome}
    for flag in candidates:
        _user_by_user(table, flag, outcome, taken | results, found)


def _who_got_it(
    table: Table, aside: set[str] | frozenset[str], found: Found
) -> tuple[list[Rule], list[Rule], list[str]]:
    """Rules that decide a 0/1 column, centred scores, and 0/1 columns that nothing decides."""
    said = found.said
    numbers = [n for n in table.names("number", "integer") if n not in aside]
    scores = [n for n in numbers if not (_is_key(table, n) or table.columns[n].hints_at("time"))]
    if said.running is not None and said.cutoff is not None:
        return [said_rule(table, said.running, said.cutoff, said.treated_side)], [], []
    flags = [said.treatment] if said.treatment else table.names("binary")
    rules = find_rules(table, [f for f in flags if f not in aside], scores)
    decided = {rule.flag for rule in rules} | aside
    left = [f for f in flags if f not in decided]
    if said.treatment:
        return rules, [], left
    candidates = [f for f in left if _treatment_by_name(table, f)]
    if rules or candidates or aside:
        return rules, [], candidates
    centred = find_centred(table, scores)
    plain = [f for f in left if not like_an_outcome(table, f)]
    return [], centred, [] if centred else plain


def _treatment_by_name(table: Table, flag: str) -> bool:
    return table.columns[flag].hints_at("treatment") and not like_an_outcome(table, flag)


def _name_two_words(table: Table, found: Found) -> None:
    for name in table.names("text"):
        column = table.columns[name]
        if column.distinct == 2 and column.hints_at("treatment"):
            words = " and ".join(repr(w) for w in sorted(table.frame[name].dropna().unique()))
            why = f"{name} holds {words}: write it as 0 and 1, and look again."
            found.ruled |= {"propensity": why, "uplift": why}


def _possible_outcomes(table: Table, taken: set[str]) -> list[str]:
    kinds = table.names("number", "integer", "binary")
    return [n for n in kinds if n not in taken and not _is_key(table, n)]


def _is_key(table: Table, name: str) -> bool:
    column = table.columns[name]
    whole = column.kind in ("integer", "text")
    return whole and column.distinct > 0.98 * len(table.frame) and column.hints_at("identifier")


def _which(candidates: Sequence[str]) -> Design:
    because = (f"Several 0/1 columns could say who got it: {names_text(candidates, 8)}.",)
    needs = {"treatment": f"which of them it is: --treatment {candidates[0]}, say"}
    return Design("propensity", "Opt-in or coin flip", "", because, {}, needs=needs)


def _thresholds(
    table: Table,
    rules: Sequence[Rule],
    centred: Sequence[Rule],
    outcome: str,
    found: Found,
) -> None:
    for rule in rules:
        at = f"{rule.score} across {rule.cutoff:g}"
        pushed = f"Can anyone push {at}, or does another rule start there?"
        gaming = found.choose("gaming", pushed, ("no", "yes"))
        if gaming == "yes":
            found.ruled["rdd"] = (
                f"Scores are pushed across {rule.cutoff:g}, or a second rule starts there: the "
                "two sides differ in more than the treatment."
            )
            continue
        taken = (f"Nobody can place a case on the side of {rule.cutoff:g} that they want.",)
        found.designs.append(rule_design(table, rule, outcome, taken))
    for rule in centred:
        through = (
            f"{rule.score} runs through 0 on both sides, as the distance to a cutoff does. Is 0 "
            "the cutoff of a rule that looks at it?"
        )
        if found.choose("running", through, (rule.score, "none"), "--treatment D") == "none":
            continue
        taken = (
            f"0 is the cutoff of a rule, and cases at or above it are treated: no column says so "
            f"(else: --running {rule.score} --cutoff C --treated-side below).",
        )
        found.designs.append(rule_design(table, rule, outcome, taken))


def _user_by_user(
    table: Table,
    flag: str,
    outcome: str,
    taken: set[str],
    found: Found,
) -> None:
    group = assigned_by_group(table, flag)
    if group is not None:
        found.ruled.setdefault(
            "propensity", f"{flag} is the same for all rows of a {group}: nobody chose it alone."
        )
        return
    usable = [name for name in table.columns if "," not in name]
    covariates, left = covariates_for(table, flag, [*taken, *(set(table.columns) - set(usable))])
    tested = assignment(table, flag, covariates)
    if tested is None:
        found.ruled.setdefault(
            "propensity", f"No column that was known before {flag} can be compared."
        )
        return
    chance = found.said.experiment
    if chance is None and tested.by_chance:
        coin = f"Did chance alone decide {flag}? Balance fits a coin flip, and can't prove it."
        chance = found.choose("experiment", coin, ("yes", "no"))
    if chance == "yes":
        goal = found.said.goal
        if goal is None and found.ask is not None:
            goal = found.choose("goal", "What do you want to know?", ("average", "whom"))
        found.designs += coin_designs(table, tested, outcome, goal)
        return
    logged = f"Were the reasons behind {flag} logged before it?"
    reasons = found.choose("reasons", logged, ("logged", "hidden"))
    if reasons == "hidden":
        found.ruled["propensity"] = (
            f"The reasons behind {flag} aren't in the data: a hidden one would go into the answer."
        )
        return
    design, why = opt_in_design(table, tested, outcome, left)
    if design is None:
        found.ruled["propensity"] = why
    else:
        found.designs.append(design)
