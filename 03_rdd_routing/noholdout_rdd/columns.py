"""Which column of the user's data plays which part."""

from __future__ import annotations

from dataclasses import dataclass

from noholdout_shared.arguments import check_columns
from noholdout_shared.errors import DataError


@dataclass(frozen=True)
class Columns:
    """Which column plays which part."""

    outcome: str
    running: str
    treatment: str | None = None
    denominator: str | None = None
    covariates: tuple[str, ...] = ()
    other_rules: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    cluster: str | None = None
    weights: str | None = None

    def named(self) -> list[str | None]:
        """All columns, those left out as ``None``."""
        first = [self.outcome, self.denominator, self.running, self.treatment]
        return [
            *first,
            self.cluster,
            self.weights,
            *self.covariates,
            *self.other_rules,
            *self.costs,
        ]

    def require_names(self) -> None:
        """Raise a DataError for a part that one column must play, and none or several do."""
        check_columns(outcome=self.outcome, running=self.running)
        for part in ("treatment", "denominator", "cluster", "weights"):
            if getattr(self, part) is not None:
                check_columns(**{part: getattr(self, part)})

    def refuse_reuse(self) -> None:
        """Raise a DataError when the score or the outcome plays another part too."""
        parts = {
            "outcome": (self.outcome,),
            "denominator": (self.denominator,),
            "treatment": (self.treatment,),
            "cluster": (self.cluster,),
            "covariates": self.covariates,
            "other rules": self.other_rules,
            "a cost": self.costs,
        }
        for part, columns in parts.items():
            if self.running in columns:
                raise DataError(
                    f"The running variable {self.running!r} is also named as {part}.",
                    "The score is in the fit already, and must differ from what it decides.",
                    f"Name another column for {part}, or leave it out.",
                )
        parts |= {"outcome": (), "denominator": (), "a cost": (), "weights": (self.weights,)}
        for part, columns in parts.items():
            if self.outcome in columns:
                raise DataError(
                    f"The outcome {self.outcome!r} is also named as {part}.",
                    "What is to be explained can't explain itself.",
                    f"Name another column for {part}, or leave it out.",
                )
