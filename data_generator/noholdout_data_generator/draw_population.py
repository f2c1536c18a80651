"""Draw population.json again: ``python -m noholdout_data_generator.draw_population``."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from noholdout_shared.progress import track

from noholdout_data_generator.generate import sample_truth
from noholdout_data_generator.population import FILE, Tree, combine
from noholdout_data_generator.scenarios import Chosen, choose, scenarios

USERS = 65_536
FIRST_SEED = 10_000
CLEAN_SEEDS, PAIRED_SEEDS = 200, 10
MATTERS = 1e-4


def draw(chosen: Chosen, seeds: int) -> Tree:
    """Sample truths averaged over data sets of fixed seeds."""
    trees = [
        population_only(sample_truth(USERS, FIRST_SEED + k, chosen, "pinned")) for k in range(seeds)
    ]
    mean: Tree = combine(trees, np.mean)
    return mean


def population_only(node: Any) -> Any:
    """The tree with its sample values as population values, and nothing else."""
    if isinstance(node, list):
        return [population_only(row) for row in node]
    if "sample" in node:
        return {"population": node["sample"]}
    return {key: population_only(value) for key, value in node.items()}


def draw_all() -> Tree:
    """The whole file.

    A scenario is drawn with the clean product's first seeds, and its difference from them is
    added to the clean truths: what both share cancels.
    """
    clean = draw(choose("clean", 0.0), CLEAN_SEEDS)
    few = draw(choose("clean", 0.0), PAIRED_SEEDS)
    found: Tree = {}
    for scenario in track(scenarios()[1:], "Drawing scenarios"):
        ends = {0.0, scenario.max_severity} - {math.inf}
        grid = sorted(ends | set(scenario.severities))
        trees = {}
        for severity in grid:
            moved = draw(choose(scenario.name, severity), PAIRED_SEEDS)
            trees[f"{severity:g}"] = combine([clean, moved, few], lambda v: v[0] + v[1] - v[2])
        designs = [d for d in clean if any(_differs(t[d], clean[d]) for t in trees.values())]
        if designs:
            found[scenario.name] = {s: {d: t[d] for d in designs} for s, t in trees.items()}
    return {"clean": clean, "scenarios": found}


def _differs(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return any(_differs(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return any(_differs(x, y) for x, y in zip(a, b, strict=True))
    return bool(abs(a - b) > MATTERS)


def main() -> None:
    """Write population.json."""
    FILE.write_text(json.dumps(draw_all(), separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
