"""The estimators that can be scored, as data: ours, naive foils, rivals and users' own."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, Literal

from noholdout_shared.errors import DataError

from noholdout.benchmark.arena import CLEAN, WITHOUT_TRAP
from noholdout.benchmark.problems import ESTIMANDS, Problem

Kind = Literal["default", "alternative", "naive", "peer", "yours"]
GROUP = "noholdout.estimators"


@dataclass(frozen=True)
class Entry:
    """One estimator in the arena.

    Parameters
    ----------
    name
        Unique; what ``--estimator`` takes.
    design, estimand
        Which question it answers, and which truth it is scored against.
    kind
        ``default`` (ours, as it comes), ``alternative`` (ours with options), ``naive``, ``peer``
        (another package) or ``yours``.
    call
        ``module:function``, loaded in the process that runs it. Ours are called as users call
        them, ``estimate(frame, **arguments, seed=…, **options)``; others as
        ``function(problem, **options)``.
    options
        Keyword arguments of that call.
    package
        The distribution whose version belongs to the result.
    slow
        Fits take more than 50 ms, so it gets as many runs as rivals do.
    heavy
        Fits take more than 0.8 s: it meets the products without a trap only.
    reveals
        The trap for which its options are there: it meets that one and the clean product, and
        what the project promises of a default in a trap is promised of it there.
    """

    name: str
    design: str
    kind: Kind
    call: str
    estimand: str
    options: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None
    slow: bool = False
    heavy: bool = False
    reveals: str | None = None

    def meets(self, scenario: str) -> bool:
        """Whether it runs in that scenario of its design."""
        if self.heavy:
            return scenario in WITHOUT_TRAP
        return self.reveals is None or scenario in (self.reveals, CLEAN)

    @property
    def ours(self) -> bool:
        """Whether it is called with the frame and keyword arguments."""
        return self.kind in ("default", "alternative")

    def run(self, problem: Problem) -> Any:
        """Its return value on a problem."""
        function = load(self.call)
        if not self.ours:
            return function(problem, **self.options)
        asked = {**problem.arguments, **self.options}
        return function(problem.frame, **asked, seed=problem.seed, conf_level=problem.conf_level)

    def settings(self) -> dict[str, Any]:
        """What its results depend on, besides the data."""
        package_version = None
        if self.package is not None:
            try:
                package_version = version(self.package)
            except PackageNotFoundError:
                package_version = "absent"
        return {
            "estimator": self.name,
            "call": self.call,
            "options": dict(self.options),
            "estimand": self.estimand,
            "package": [self.package, package_version],
        }


def estimator(design: str, estimand: str | None = None) -> Callable[[Callable], Callable]:
    """Mark a function as an estimator of a design, for the entry points ``noholdout.estimators``.

    >>> from noholdout.benchmark import estimator
    >>> @estimator("did")
    ... def my_fn(problem):
    ...     return {"estimate": 0.0}
    """
    chosen = _estimand(design, estimand)

    def mark(function: Callable) -> Callable:
        function.design, function.estimand = design, chosen  # type: ignore[attr-defined]
        return function

    return mark


def yours(call: str, design: str | None, estimand: str | None = None) -> Entry:
    """An entry for a user's callable: ``mypkg.my_fn``, ``mypkg:my_fn`` or ``file.py:my_fn``."""
    place = call if ":" in call else ":".join(call.rsplit(".", 1))
    function = load(place)
    design = design or getattr(function, "design", None)
    if design is None:
        raise DataError(
            f"Of {call!r} it isn't known which design it answers.",
            "",
            f"Add --design, one of: {', '.join(ESTIMANDS)}.",
        )
    chosen = _estimand(design, estimand or getattr(function, "estimand", None))
    return Entry(call, design, "yours", place, chosen)


def _estimand(design: str, estimand: str | None) -> str:
    if design not in ESTIMANDS:
        raise DataError(f"There is no design {design!r}.", "", f"Use: {', '.join(ESTIMANDS)}.")
    chosen = estimand or ESTIMANDS[design][0]
    if chosen not in ESTIMANDS[design]:
        raise DataError(
            f"Design {design!r} has no estimand {chosen!r}.",
            "",
            f"Use one of: {', '.join(ESTIMANDS[design])}.",
        )
    return chosen


def installed() -> list[Entry]:
    """Estimators that installed packages offer under the entry points ``noholdout.estimators``."""
    found = []
    for point in entry_points(group=GROUP):
        function = point.load()
        design = getattr(function, "design", None)
        if design is None:
            raise DataError(
                f"Entry point {point.name!r} of {GROUP!r} doesn't say its design.",
                "",
                "Mark the function with noholdout.benchmark.estimator('did'), for example.",
            )
        estimand = _estimand(design, getattr(function, "estimand", None))
        found.append(Entry(point.name, design, "yours", point.value, estimand))
    return found


def load(call: str) -> Callable[..., Any]:
    """The function at ``module:function`` or ``path/to/file.py:function``."""
    where, _, name = call.rpartition(":")
    try:
        module = _module_of_file(Path(where)) if where.endswith(".py") else _module(where)
        return getattr(module, name)
    except (ImportError, AttributeError, OSError, ValueError) as error:
        raise DataError(
            f"{call!r} can't be loaded: {error}",
            "",
            "Name a function as package.module.function, or as path/to/file.py:function.",
        ) from error


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # An installed command doesn't look into the folder it was typed in.
        here = Path(*name.split("."))
        for file in (here.with_suffix(".py"), here / "__init__.py"):
            if error.name == name.split(".")[0] and file.is_file():
                return _module_of_file(file, name)
        raise


def _module_of_file(file: Path, name: str | None = None) -> Any:
    path = file.resolve()
    name = name or f"noholdout_yours_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{str(file)!r} isn't a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def entries(designs: Sequence[str] | None = None, kinds: Sequence[Kind] = ()) -> list[Entry]:
    """Ours, the foils and the rivals of the designs asked for, in the order of the tables."""
    from noholdout.benchmark.catalogue import CATALOGUE

    return [
        entry
        for entry in CATALOGUE
        if (designs is None or entry.design in designs) and (not kinds or entry.kind in kinds)
    ]


def entry(name: str) -> Entry:
    """The entry of that name."""
    import difflib

    from noholdout.benchmark.catalogue import CATALOGUE

    for found in CATALOGUE:
        if found.name == name:
            return found
    names = [found.name for found in CATALOGUE]
    near = difflib.get_close_matches(name, names, n=3)
    raise DataError(
        f"There is no estimator {name!r}.",
        f"Did you mean {' or '.join(map(repr, near))}?" if near else "",
        f"There are: {', '.join(names)}; your own is given as package.module.function.",
    )
