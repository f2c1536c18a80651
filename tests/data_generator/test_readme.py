"""The README says what the code does: every scenario, and the constants of the equations."""

from __future__ import annotations

from pathlib import Path

import pytest
from noholdout_data_generator import Scenario, equations, scenarios
from noholdout_data_generator import telemetry as panel

README = (Path(__file__).resolve().parents[2] / "data_generator" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_scenario_stands_in_the_table(scenario: Scenario) -> None:
    rows = [row for row in README.splitlines() if row.startswith(f"| `{scenario.name}` |")]
    assert len(rows) == 1
    for text in (scenario.breaks, scenario.equation, scenario.revealed_with):
        assert text in rows[0]
    if scenario.design != "all":
        assert ("| yes: " in rows[0]) == scenario.revealable
        assert scenario.revealed_by in rows[0]


def test_equations_stand_in_the_text() -> None:
    light, medium, heavy = (f"{abs(x):.3f}" for x in equations.TIER_LEVEL)
    wanted = [
        f"base     = {equations.BASE:.3f} + (light −{light}, medium {medium}, heavy {heavy}",
        f"+ {equations.WEEK_SLOPE} z + {equations.CONFIDENCE_SLOPE} (c − 0.75)",
        f"rollout  = {equations.ROLLOUT_START} + {equations.ROLLOUT_GROWTH} min(e, 9)/9",
        f"agent    = light {equations.AGENT_EFFECT[0]}, medium {equations.AGENT_EFFECT[1]:.3f}",
        f"prompt   = {equations.PROMPT_BASE:.3f} + (light {equations.PROMPT_TIER[0]}",
        f"+ {equations.PROMPT_WEEK} cos(π z)",
        f"+ {equations.PROMPT_CONFIDENCE} tanh((0.60 − c)/0.12)",
        f"logit P(opt in) = −{-equations.OPT_IN_BASE} + (light −{-equations.OPT_IN_TIER[0]}",
        f"+ {equations.OPT_IN_WEEK} z + {equations.OPT_IN_CONFIDENCE:g} (c − 0.75)",
        f"p0[i, t] = {panel.MEAN} + level[i]",
        f"p1[i, t] = p0[i, t] + {panel.EFFECT}",
        f"`level` has deviation {panel.LEVEL_SD}, `drift` {panel.DRIFT_SD}",
    ]
    assert [text for text in wanted if text not in README] == []
