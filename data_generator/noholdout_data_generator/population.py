"""The population's truths: expectations over data sets, kept as constants in population.json.

``python -m noholdout_data_generator.draw_population`` draws the file again. It holds the clean
product's truths, and for each scenario those designs whose truths the scenario moves by more
than 0.01 points, at a few severities; between these the truth is interpolated.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from noholdout_data_generator.scenarios import Chosen

Tree = dict[str, Any]

FILE = Path(__file__).with_name("population.json")


@cache
def stored() -> Tree:
    """The file's content: ``clean``, and ``scenarios`` by name and severity."""
    content: Tree = json.loads(FILE.read_text())
    return content


def population_truth(chosen: Chosen) -> Tree:
    """The population's truths of a scenario at a severity, in the layout of the sample's."""
    clean: Tree = stored()["clean"]
    drawn: Tree = stored()["scenarios"].get(chosen.scenario.name, {})
    if not drawn:
        return clean
    severities = sorted(float(s) for s in drawn)
    severity = min(chosen.severity, severities[-1])
    below = max(s for s in severities if s <= severity)
    above = min(s for s in severities if s >= severity)
    share = 0.0 if above == below else (severity - below) / (above - below)
    low, high = clean | drawn[f"{below:g}"], clean | drawn[f"{above:g}"]
    mixed: Tree = combine([low, high], lambda values: (1 - share) * values[0] + share * values[1])
    return mixed


def combine(nodes: list[Any], how: Any) -> Any:
    """Trees of one layout as one: ``how`` takes the numbers at a place, rounded to 6 decimals."""
    first = nodes[0]
    if isinstance(first, dict):
        return {key: combine([node[key] for node in nodes], how) for key in first}
    if isinstance(first, list):
        return [combine(list(rows), how) for rows in zip(*nodes, strict=True)]
    return round(float(how(nodes)), 6) + 0.0
