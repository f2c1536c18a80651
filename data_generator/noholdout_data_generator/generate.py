"""One seed, one synthetic product: its users, its telemetry, and the truth about both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import get_args

import pandas as pd
from noholdout_shared.errors import DataError

from noholdout_data_generator.population import population_truth
from noholdout_data_generator.scenarios import Chosen, choose
from noholdout_data_generator.telemetry import Launch, draw_telemetry
from noholdout_data_generator.truth import (
    Truth,
    UserTruth,
    telemetry_truth,
    user_effects,
    with_population,
)
from noholdout_data_generator.users import BLOCK, draw_block
from noholdout_data_generator.world import draw_world

MIN_USERS, MAX_USERS = 100, 1_000_000_000


@dataclass(frozen=True)
class Dataset:
    """One synthetic product.

    Parameters
    ----------
    users
        One row a user, 16 columns.
    telemetry
        One row a workspace and day.
    truth
        True effects by design; no estimator may see it.
    truth_users
        Each user's own true effects; no estimator may see it.
    """

    users: pd.DataFrame
    telemetry: pd.DataFrame
    truth: Truth
    truth_users: pd.DataFrame


def generate(
    n_users: int = 50_000,
    seed: int = 42,
    scenario: str = "clean",
    severity: float = 1.0,
    launch: Launch = "pinned",
) -> Dataset:
    """Draw one synthetic product in memory.

    Parameters
    ----------
    n_users
        Rows of the users table, 100 at least.
    seed
        Of every draw; the same seed gives the same bytes.
    scenario
        A name listed by ``scenarios()``.
    severity
        How badly the scenario breaks its assumption; no effect on the clean one.
    launch
        Who gets the model upgrade in the telemetry.

    Raises
    ------
    DataError
        An unknown scenario or launch, or a number out of bounds.
    """
    check_request(n_users, seed, launch)
    chosen = choose(scenario, severity)
    sums = UserTruth()
    parts = list(stream_users(n_users, seed, chosen, sums))
    panel = draw_telemetry(seed, launch, chosen.telemetry)
    truth = assemble_truth(n_users, seed, chosen, launch, sums, telemetry_truth(panel))
    users, own = zip(*parts, strict=True)
    return Dataset(_whole(users), panel.frame, truth, _whole(own))


def _whole(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def stream_users(
    n_users: int, seed: int, scenario: Chosen, sums: UserTruth
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the users and their own effects block by block, adding to ``sums`` on the way."""
    world = draw_world(seed, scenario.users)
    for block_number in range(-(-n_users // BLOCK)):
        count = min(BLOCK, n_users - block_number * BLOCK)
        block = draw_block(seed, block_number, world, scenario.users, count)
        own = user_effects(block)
        sums.add(block, world, scenario.users, own)
        yield block.frame, own


def sample_truth(n_users: int, seed: int, scenario: Chosen, launch: Launch) -> Truth:
    """The sample's truths alone; the rows are drawn and dropped."""
    sums = UserTruth()
    for _ in stream_users(n_users, seed, scenario, sums):
        pass
    panel = draw_telemetry(seed, launch, scenario.telemetry)
    return sums.result() | {"synthetic_control": telemetry_truth(panel)}


def assemble_truth(
    n_users: int,
    seed: int,
    scenario: Chosen,
    launch: str,
    sums: UserTruth,
    panel: Truth,
) -> Truth:
    """All truths, sample and population, with what was asked for."""
    sample = sums.result() | {"synthetic_control": panel}
    asked = {
        "scenario": scenario.scenario.name,
        "severity": scenario.severity,
        "seed": int(seed),
        "n_users": int(n_users),
        "launch": scenario.scenario.launch or launch,
    }
    return {"asked": asked} | with_population(sample, population_truth(scenario))


def check_request(n_users: int, seed: int, launch: str) -> None:
    """Raise a DataError unless the numbers are whole and within bounds and the launch is known."""
    if launch not in get_args(Launch):
        known = ", ".join(get_args(Launch))
        raise DataError(f"There is no launch {launch!r}.", "", f"Known: {known}.")
    if not _is_whole(n_users):
        raise DataError(f"n_users is {n_users!r}.", "", "Give a whole number, such as 10000.")
    if not MIN_USERS <= n_users <= MAX_USERS:
        raise DataError(
            f"n_users is {n_users:,}.",
            "Below 100 users most weeks and workspaces would be empty.",
            f"Give a number from {MIN_USERS} to {MAX_USERS:,}.",
        )
    if not _is_whole(seed) or seed < 0:
        raise DataError(f"The seed is {seed!r}.", "", "Give a whole number from 0 up.")


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)
