"""What the shipped rule does to guardrail metrics, and within the slices a review asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from noholdout_shared.inference import not_worse_p

from noholdout_uplift.inference import effects_of, group_effects, interval_columns, std_errors
from noholdout_uplift.scored import Scored
from noholdout_uplift.tables import segment_labels


def guardrails_table(
    rows: Scored, rule: str, treat: np.ndarray, effects: Mapping[str, np.ndarray], margin: float
) -> pd.DataFrame:
    """Effect on each guardrail metric among the users whom ``rule`` treats.

    ``effects`` holds AIPW scores of each metric on the evaluated rows; more is better.
    ``not_worse_p`` is one-sided against "-margin or worse".
    """
    gamma = np.column_stack(list(effects.values()))
    parts = []
    for j, name in enumerate(effects):
        found = group_effects(gamma[:, j], (treat * rows.weight)[:, None])
        errors = std_errors(found, rows.drawn)
        columns = interval_columns(found.values, errors, rows.conf_level, rows.df)
        p_value = not_worse_p(float(found.values[0]), float(errors[0]), margin, rows.df)
        parts.append(
            pd.DataFrame(
                {"metric": name, "rule": rule, **columns, "margin": margin, "not_worse_p": p_value}
            )
        )
    return pd.concat(parts, ignore_index=True)


def slices_table(
    rows: Scored, frame: pd.DataFrame, slices: Sequence[str], rule: str, treat: np.ndarray
) -> pd.DataFrame:
    """Who is treated in each slice and what they gain: share treated, effect among the treated.

    ``frame`` holds the evaluated rows. A slice in which nobody is treated has no effect to state.
    """
    parts = []
    for column in slices:
        codes, levels = pd.factorize(segment_labels(frame[column], rows.drawn.copies), sort=True)
        inside = (codes[:, None] == np.arange(len(levels))[None, :]).astype(float)
        weighted = inside * (treat * rows.weight)[:, None]
        mass = rows.weight @ inside
        with np.errstate(invalid="ignore", divide="ignore"):
            found = effects_of(rows, partial(group_effects, membership=weighted))
            errors = std_errors(found, rows.drawn)
        parts.append(
            pd.DataFrame(
                {
                    "slice": column,
                    "level": [str(level) for level in levels],
                    "rule": rule,
                    "n": rows.drawn.rows(inside).astype(int),
                    "treated": weighted.sum(axis=0) / mass,
                    **interval_columns(found.values, errors, rows.conf_level, rows.df),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
