"""The arena's entries. Data only: a new option of ours is a line, a new rival a small adapter."""

from __future__ import annotations

from noholdout.benchmark.registry import Entry, Kind


def _ours(
    design: str,
    scored: str,
    label: str = "",
    slow: bool = False,
    heavy: bool = False,
    reveals: str | None = None,
    **options: str | float | list[str],
) -> Entry:
    kind: Kind = "alternative" if label else "default"
    name = f"{design}:{label}" if label else design
    call = f"noholdout_{design}:estimate"
    return Entry(
        name, design, kind, call, scored, options, slow=slow or heavy, heavy=heavy, reveals=reveals
    )


def _foil(name: str, design: str, estimand: str, function: str, slow: bool = False) -> Entry:
    call = f"noholdout.benchmark.foils:{function}"
    return Entry(f"naive:{name}", design, "naive", call, estimand, slow=slow)


def _peer(
    package: str,
    design: str,
    scored: str,
    call: str,
    label: str = "",
    heavy: bool = False,
    **options: str,
) -> Entry:
    name = f"{package}:{label}" if label else package
    place = f"noholdout.benchmark.peers.{call}"
    return Entry(
        name, design, "peer", place, scored, options, package=package, slow=True, heavy=heavy
    )


CATALOGUE: tuple[Entry, ...] = (
    _ours("did", "simple"),
    _ours("did", "simple", "two-by-two", estimator="two-by-two"),
    _ours("did", "simple", "twfe", estimator="twfe"),
    _ours("did", "simple", "imputation", estimator="imputation"),
    _ours("did", "simple", "two-stage", estimator="two-stage"),
    _ours("did", "simple", "sun-abraham", estimator="sun-abraham"),
    _ours("did", "simple", "bootstrap", inference="bootstrap"),
    _ours("did", "simple", "told-tier", reveals="did-composition", covariates=["engagement_tier"]),
    _foil("before-after", "did", "simple", "before_after"),
    _peer("csdid", "did", "simple", "did:csdid"),
    _peer("diff-diff", "did", "simple", "did:diff_diff"),
    _ours("propensity", "ate"),
    _ours("propensity", "ate", "ipw", slow=True, estimator="ipw"),
    _ours("propensity", "ate", "regression", slow=True, estimator="regression"),
    _ours("propensity", "att", "aipw-att", slow=True, estimand="att"),
    _ours("propensity", "att", "ipw-att", slow=True, estimator="ipw", estimand="att"),
    _ours("propensity", "ate", "entropy-balancing", slow=True, estimator="entropy-balancing"),
    _ours("propensity", "att", "matching-att", slow=True, estimator="matching", estimand="att"),
    _foil("opted-in", "propensity", "ate", "treated_untreated"),
    _peer("doubleml", "propensity", "ate", "propensity:doubleml"),
    _peer("causalinference", "propensity", "ate", "propensity:causalinference"),
    _ours("rdd", "at_cutoff"),
    _ours("rdd", "at_cutoff", "conventional", slow=True, inference="conventional"),
    _ours("rdd", "at_cutoff", "honest", slow=True, inference="honest"),
    _ours("rdd", "at_cutoff", "told-flag", reveals="rdd-overrides", treatment="routed_to_premium"),
    _foil("two-sides", "rdd", "at_cutoff", "two_sides"),
    _peer("rdrobust", "rdd", "at_cutoff", "rdd:rdrobust"),
    _peer("rdrobust", "rdd", "at_cutoff", "rdd:rdrobust", "conventional", row="Conventional"),
    _ours("synthetic_control", "att"),
    _ours(
        "synthetic_control",
        "att",
        "told-tasks",
        reveals="synthetic-control-ruler-changes",
        negative_controls=["tasks"],
    ),
    _ours("synthetic_control", "att", "classic", slow=True, estimator="classic"),
    _ours("synthetic_control", "att", "did", estimator="did"),
    _ours("synthetic_control", "att", "synthetic-did", slow=True, estimator="synthetic-did"),
    _ours("synthetic_control", "att", "augmented", heavy=True, estimator="augmented"),
    _ours("synthetic_control", "att", "bootstrap", slow=True, inference="bootstrap"),
    _foil("after-before", "synthetic_control", "att", "treated_before_after"),
    _foil("treated-donors", "synthetic_control", "att", "treated_donors"),
    _peer("mlsynth", "synthetic_control", "att", "synthetic_control:mlsynth", heavy=True),
    _peer("pysyncon", "synthetic_control", "att", "synthetic_control:pysyncon"),
    _ours("uplift", "top", slow=True),
    _ours("uplift", "top", "t", heavy=True, learner="t"),
    _ours("uplift", "top", "s", heavy=True, learner="s"),
    _ours("uplift", "top", "r", heavy=True, learner="r"),
    _ours("uplift", "top", "dr", heavy=True, learner="dr"),
    _ours("uplift", "top", "x-linear", slow=True, model="linear"),
    _foil("training-rows", "uplift", "top", "top_of_training_rows", slow=True),
    _peer("econml", "uplift", "top", "uplift:econml"),
    _peer("scikit-uplift", "uplift", "top", "uplift:scikit_uplift"),
)
