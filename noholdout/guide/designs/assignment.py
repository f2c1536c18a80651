"""Who got it, user by user: did chance decide (a coin flip), or something that was logged?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import NoholdoutError

from noholdout.guide.columns import Table
from noholdout.guide.designs.design import Design, names_text

MOST_TEXTS = 20  # different texts of a covariate; more are names, not groups
TEST_ROWS = 200_000
LEVEL = 0.01  # below it the coin flip is ruled out
SMALL_GAP = 0.25  # standardised difference that a coin flip leaves in a small file at most
RARE = 0.01  # a chance of treatment beyond which a user has no counterpart
ENOUGH = 0.9


@dataclass(frozen=True)
class Assignment:
    """How a 0/1 column depends on what was known before.

    Parameters
    ----------
    p_value
        Joint F test that no covariate (nor its square) predicts the column.
    largest, gap
        The covariate with the largest standardised difference, and that difference.
    score
        Each row's chance of treatment by a logit, and who was treated.
    """

    flag: str
    covariates: tuple[str, ...]
    n_rows: int
    p_value: float
    largest: str
    gap: float
    score: np.ndarray
    on: np.ndarray

    @property
    def by_chance(self) -> bool:
        """Whether a coin flip is compatible with the data."""
        one, zero = self.on.sum(), (1 - self.on).sum()
        noise = math.sqrt(1 / one + 1 / zero)
        return self.p_value >= LEVEL and abs(self.gap) < max(SMALL_GAP, 4 * noise)

    @property
    def everyone_has_a_counterpart(self) -> bool:
        """Whether nearly all users could have been seen either way."""
        inside = (self.score > RARE) & (self.score < 1 - RARE)
        return bool(inside.mean() >= ENOUGH)

    @property
    def treated_have_counterparts(self) -> bool:
        """Whether nearly all treated users resemble somebody untreated."""
        return bool((self.score[self.on == 1] < 1 - 5 * RARE).mean() >= ENOUGH)


def covariates_for(table: Table, flag: str, taken: Sequence[str]) -> tuple[list[str], list[str]]:
    """Columns that can be covariates, and those left out although nothing else takes them."""
    kept, left = [], []
    rows = len(table.frame)
    for name, column in table.columns.items():
        if name in taken or name == flag or column.kind in ("constant", "date"):
            continue
        is_key = column.kind in ("text", "integer") and column.distinct > 0.9 * rows
        too_many = column.kind == "text" and column.distinct > MOST_TEXTS
        if is_key or too_many or column.missing > 0.2 * rows or _restates(table, name, flag):
            left.append(name)
        else:
            kept.append(name)
    return kept, left


def _restates(table: Table, name: str, flag: str) -> bool:
    """Whether a column with few values decides the flag in every row."""
    if table.columns[name].distinct > MOST_TEXTS:
        return False
    return int(table.frame.groupby(name, observed=True)[flag].nunique().max()) == 1


def assignment(table: Table, flag: str, covariates: Sequence[str]) -> Assignment | None:
    """Test the 0/1 column against the covariates; ``None`` when they can't be read as numbers."""
    rows = table.frame[[flag, *covariates]].dropna()
    if len(rows) > TEST_ROWS:
        rows = rows.sample(TEST_ROWS, random_state=0)
    rows = rows.reset_index(drop=True)
    if not covariates or rows[flag].nunique() < 2:
        return None
    try:
        matrix = design_matrix(rows, list(covariates))
    except NoholdoutError:
        return None
    on = rows[flag].to_numpy(dtype=float)
    x = (matrix.values - matrix.values.mean(axis=0)) / matrix.values.std(axis=0)
    if x.shape[1] == 0 or len(rows) < 3 * x.shape[1] + 10:
        return None
    gaps = _gaps(x, on)
    largest = int(np.argmax(np.abs(gaps)))
    return Assignment(
        flag=flag,
        covariates=tuple(covariates),
        n_rows=len(rows),
        p_value=_joint_p(x, on),
        largest=matrix.names[largest],
        gap=float(gaps[largest]),
        score=_logit(x, on),
        on=on,
    )


def _gaps(x: np.ndarray, on: np.ndarray) -> np.ndarray:
    one, zero = x[on == 1], x[on == 0]
    pooled = np.sqrt((one.var(axis=0) + zero.var(axis=0)) / 2)
    return (one.mean(axis=0) - zero.mean(axis=0)) / np.maximum(pooled, 1e-9)


def _joint_p(x: np.ndarray, on: np.ndarray) -> float:
    """F test of a linear probability model on the covariates and the squares of the continuous."""
    from scipy.special import fdtrc

    continuous = np.array([np.unique(column[:1000]).size > 2 for column in x.T])
    full = np.column_stack([np.ones(len(on)), x, x[:, continuous] ** 2])
    fit, _, rank, _ = np.linalg.lstsq(full, on, rcond=None)
    residual = ((on - full @ fit) ** 2).sum()
    total = ((on - on.mean()) ** 2).sum()
    k, df = int(rank) - 1, len(on) - int(rank)
    if k < 1 or df < 1:
        return math.nan
    if residual <= 1e-12 * total:
        return 0.0
    return float(fdtrc(k, df, ((total - residual) / k) / (residual / df)))


def _logit(x: np.ndarray, on: np.ndarray, steps: int = 25) -> np.ndarray:
    """Fitted chances of a logit with a whisker of ridge, so that separation stays finite."""
    full = np.column_stack([np.ones(len(on)), x])
    beta = np.zeros(full.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(full @ beta, -30, 30)))
        curve = (full * (chance * (1 - chance))[:, None]).T @ full + 1e-3 * np.eye(beta.size)
        step = np.linalg.solve(curve, full.T @ (on - chance) - 1e-3 * beta)
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(1 / (1 + np.exp(-np.clip(full @ beta, -30, 30))))


def assigned_by_group(table: Table, flag: str) -> str | None:
    """A column of groups within which the flag is constant: no user-level assignment."""
    for name in table.names("text", "integer"):
        distinct = table.columns[name].distinct
        many = MOST_TEXTS < distinct <= len(table.frame) / 5
        if many and table.frame.groupby(name, observed=True)[flag].nunique().max() == 1:
            return name
    return None


def coin_designs(table: Table, found: Assignment, outcome: str, goal: str | None) -> list[Design]:
    """The plain comparison and whom it helps, after a coin flip."""
    share = float(found.on.mean())
    because = (
        f"{found.flag} = 1 in {share:.0%} of rows, and nothing known before predicts it: joint "
        f"test p = {found.p_value:.2g} over {len(found.covariates)} columns, largest "
        f"standardised difference {abs(found.gap):.2f} ({found.largest}).",
    )
    assumed = (f"Chance alone decided {found.flag}: balance fits a coin flip, and can't prove it.",)
    arguments = {"outcome": outcome, "treatment": found.flag}
    names = ",".join(found.covariates)
    closing = _closing(table, [outcome, found.flag, *found.covariates])
    average = Design(
        "propensity", "Coin flip, the average effect", found.flag, because,
        arguments | {"covariates": names} | closing, assumed,
    )  # fmt: skip
    whom = Design(
        "uplift", "Coin flip, whom it helps", found.flag, because,
        arguments | {"features": names} | closing, assumed,
    )  # fmt: skip
    return {"average": [average], "whom": [whom]}.get(goal or "", [average, whom])


def opt_in_design(
    table: Table, found: Assignment, outcome: str, left: Sequence[str]
) -> tuple[Design | None, str]:
    """The comparison of alike users, or why there are none."""
    why = (
        f"{found.flag} = 1 in {found.on.mean():.0%} of rows, and it isn't chance: joint test "
        f"p {'< 0.001' if found.p_value < 0.001 else f'= {found.p_value:.3f}'}; {found.largest} "
        f"differs most ({found.gap:+.2f} standard deviations)."
    )
    arguments = {"outcome": outcome, "treatment": found.flag}
    arguments["covariates"] = ",".join(found.covariates)
    if found.everyone_has_a_counterpart:
        overlap = "Users of every kind are seen with and without it."
    elif found.treated_have_counterparts:
        overlap = (
            f"{np.mean((found.score <= RARE) | (found.score >= 1 - RARE)):.0%} of rows had next "
            "to no chance of one of the two versions, but the treated have counterparts: the "
            "answer is for the treated."
        )
        arguments["estimand"] = "att"
    else:
        return None, (
            f"{found.flag} is all but decided by {found.largest} and the like: most treated rows "
            "have no untreated counterpart (a column measured after it would look so too)."
        )
    arguments |= _closing(table, [outcome, found.flag, *found.covariates])
    assumed = [f"Every reason behind {found.flag} is among the covariates, measured before it."]
    if left:
        assumed.append(f"Left out of them, as names or mostly empty: {names_text(left, 6)}.")
    return Design("propensity", "Opt-in", found.flag, (why, overlap), arguments, tuple(assumed)), ""


def _closing(table: Table, names: Sequence[str]) -> dict[str, str]:
    return {"missing": "drop"} if table.any_missing(names) else {}
