"""From the columns and the tests to advice: what can work, what can't and why, what to type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noholdout_shared.errors import DataError

from noholdout.guide.answers import Answers, Ask, Found
from noholdout.guide.columns import Table
from noholdout.guide.designs.design import Design, names_text
from noholdout.guide.designs.launch import launch_designs
from noholdout.guide.designs.panel import (
    Launch,
    Panel,
    find_launch,
    find_panel,
    panel_outcome,
    value_texts,
)
from noholdout.guide.flaws import flaws
from noholdout.guide.users import in_rows

METHODS = ("did", "propensity", "rdd", "synthetic_control", "uplift")
NOT_FOUND = {
    "did": "No column holds when each row's group first got it, with time before that.",
    "rdd": "No 0/1 column is decided by a cutoff in a score.",
    "synthetic_control": "The rows aren't one a unit and period, with a history before a launch.",
    "propensity": "No 0/1 column says, user by user, who got it.",
    "uplift": "No 0/1 column is independent of what was known before: chance decided nowhere.",
}


@dataclass(frozen=True)
class Advice:
    """What the guide says about a file."""

    location: str
    n_rows: int
    n_looked_at: int
    roles: dict[str, Any]
    designs: tuple[Design, ...]
    ruled_out: dict[str, str]
    assumed: tuple[str, ...] = ()
    flaws: tuple[str, ...] = ()

    @property
    def best(self) -> Design | None:
        """The first design whose command is complete, else the first."""
        ready = [design for design in self.designs if not design.needs]
        return next(iter([*ready, *self.designs]), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        best = self.best
        return {
            "file": self.location,
            "rows": self.n_rows,
            "rows_looked_at": self.n_looked_at,
            "roles": self.roles,
            "method": best.method if best else None,
            "command": best.to_dict(self.location)["command"] if best else None,
            "designs": [design.to_dict(self.location) for design in self.designs],
            "ruled_out": [{"method": m, "because": w} for m, w in self.ruled_out.items()],
            "assumed": list(self.assumed),
            "flaws": list(self.flaws),
        }


def advise(table: Table, answers: Answers | None = None, ask: Ask | None = None) -> Advice:
    """Test what each design needs, and say what can work.

    It never compares the outcome of treated and untreated rows: the design is chosen before any
    answer is seen.

    Parameters
    ----------
    table
        The data, from :func:`noholdout.guide.columns.look`.
    answers
        What the user said.
    ask
        Called with a flag, a question and its choices (the first is the likely one) for what the
        data can't say. Without it the first choice is assumed, and said.
    """
    said = answers or Answers()
    _require(table, said)
    found = Found(said, ask)
    panel = find_panel(table, said.unit, said.time)
    launch = None
    if panel is None and (said.unit or said.treated):
        raise DataError(
            f"--{'unit' if said.unit else 'treated'} was given, but the rows are no panel.",
            "A panel has one row a unit and period.",
            "Name both --unit and --time, or leave it out when each row is another user.",
        )
    if panel is not None and said.running is None:
        launch = find_launch(
            table,
            panel,
            treatment=said.treatment,
            first_treated=said.first_treated,
            treated=said.treated,
            start=said.start,
        )
    if launch is None:
        in_rows(table, panel, found)
    if panel is not None and not found.designs:
        if launch is None and ask is not None:
            launch = _asked_launch(table, panel, ask)
        _in_panel(table, panel, launch, found)
    can = {design.method for design in found.designs}
    ruled = {m: found.ruled.get(m, NOT_FOUND[m]) for m in METHODS if m not in can}
    order = sorted(found.designs, key=lambda design: bool(design.needs))
    return Advice(
        table.location, table.n_rows, len(table.frame), found.roles, tuple(order), ruled,
        tuple(dict.fromkeys(found.assumed)), flaws(table),
    )  # fmt: skip


def _require(table: Table, said: Answers) -> None:
    table.require(
        [said.outcome, said.treatment, said.unit, said.time, said.first_treated, said.running]
    )
    if said.treatment and table.columns[said.treatment].kind != "binary":
        raise DataError(
            f"--treatment {said.treatment!r} isn't 0/1.",
            "It must say of each row whether it was treated.",
            f"The 0/1 columns are: {names_text(table.names('binary'), 12) or 'none'}.",
        )
    for one, other, flags in (
        (said.running, said.cutoff, "--running and --cutoff"),
        (said.treated or None, said.start, "--treated and --start"),
    ):
        if (one is None) != (other is None):
            raise DataError(f"Only one of {flags} was given.", "", "They go together.")


def _asked_launch(table: Table, panel: Panel, ask: Ask) -> Launch | None:
    """No column says it: which unit got the launch, and when."""
    unit = ask("treated", f"Which {panel.unit} got the launch?", value_texts(panel.units))
    start = ask("start", f"In which {panel.time} did it start?", value_texts(panel.times))
    return find_launch(table, panel, treated=[unit], start=start)


def _in_panel(
    table: Table,
    panel: Panel,
    launch: Launch | None,
    found: Found,
) -> None:
    found.roles |= {"unit": panel.unit, "time": panel.time}
    ranked = panel_outcome(table, panel, launch)
    outcome = found.outcome(ranked)
    if launch is not None:
        found.roles["treated_from"] = launch.source
    designs, ruled = launch_designs(table, panel, launch, outcome)
    found.designs += designs
    found.ruled |= ruled
    if launch is not None:
        decided = f"{panel.unit} and {panel.time} decided who got it ({launch.source}), not"
        found.ruled |= {
            "propensity": f"{decided} users one by one.",
            "uplift": f"{decided} chance, user by user.",
            "rdd": f"{decided} a score.",
        }
