"""The population's truths: expectations over data sets, kept as constants in population.json.

``python -m noholdout_data_generator.population`` draws them again: sample truths averaged over
fixed seeds, weighted by the rows that each rests on.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from noholdout_data_generator.scenarios import Chosen

FILE = Path(__file__).with_name("population.json")


@cache
def _stored() -> dict[str, Any]:
    return json.loads(FILE.read_text())


def population_truth(scenario: Chosen) -> dict[str, Any]:
    """The population's truths of a scenario, in the layout of the sample's."""
    stored = _stored()
    return stored.get(scenario.scenario.name, stored["clean"])


SEEDS, USERS = 120, 65_536


def draw_population(scenario: Chosen, seeds: int = SEEDS) -> dict[str, Any]:
    """Average the sample truths of many data sets; every data set weighs the same."""
    from noholdout_data_generator.generate import sample_truth

    trees = [sample_truth(USERS, 10_000 + k, scenario, "pinned") for k in range(seeds)]
    return _average(trees)


def _average(nodes: list[Any]) -> Any:
    first = nodes[0]
    if isinstance(first, list):
        return [_average(list(rows)) for rows in zip(*nodes, strict=True)]
    if not isinstance(first, dict):
        return None
    merged = {
        k: _average([n[k] for n in nodes]) for k in first if isinstance(first[k], dict | list)
    }
    if "sample" in first:
        known = [n["sample"] for n in nodes if n["sample"] is not None]
        merged["population"] = round(sum(known) / len(known), 6) if known else None
    return merged


def main() -> None:
    """Write population.json again."""
    from noholdout_data_generator.scenarios import choose

    stored = {"clean": draw_population(choose("clean", 1.0))}
    FILE.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
