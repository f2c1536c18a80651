"""Every scenario, one entry each: to add one, add a knob, its equation and an entry here."""

from __future__ import annotations

import math

from noholdout_data_generator.knobs import TelemetryKnobs, UserKnobs
from noholdout_data_generator.scenarios import STD_ERROR, Scenario, amount

COMPLETION_AFTER = 0.60  # about the upgraded workspaces' true rate, for the log that loses failures


def _lost_failures(severity: float) -> float:
    # Logged rate p / (p + (1 - p)(1 - r)) = p + bias, solved for r.
    p, bias = COMPLETION_AFTER, severity * STD_ERROR["synthetic_control"]
    return 1 - p / (1 - p) * (1 / (p + bias) - 1)


GENERAL = (
    Scenario(
        name="clean",
        design="all",
        breaks="Nothing: every design's assumptions hold.",
        equation="the product's own equations",
        dial="none",
        revealable=False,
        revealed_by="there is nothing to reveal",
        turn=lambda s: UserKnobs(),
        severities=(),
        is_bias=False,
        max_severity=math.inf,
    ),
    Scenario(
        name="no-effect",
        design="all",
        breaks="Nothing, and no launch has any effect: for the size of tests.",
        equation="every effect × 0",
        dial="none",
        revealable=False,
        revealed_by="there is nothing to reveal",
        turn=lambda s: (UserKnobs(effect_scale=0.0), TelemetryKnobs(effect_scale=0.0)),
        severities=(),
        is_bias=False,
        max_severity=math.inf,
    ),
)

DID = (
    Scenario(
        name="did-pre-trends",
        design="did",
        breaks="Wave 1 was already improving faster than wave 2 before its launch.",
        equation="p += k (min(t, 30) - 15) in wave 1",
        dial="k points a week; the bias is about 7.5 k",
        revealable=True,
        revealed_by="differential trends in the weeks before launch",
        turn=lambda s: UserKnobs(wave_trend=amount("did-pre-trends", s)),
    ),
    Scenario(
        name="did-anticipation",
        design="did",
        breaks="Wave 1 was told beforehand and changed its habits five weeks before launch.",
        equation="p += k in wave 1, 15 <= t < 20",
        dial="k; the bias is -k, since the base period already moved",
        revealable=True,
        revealed_by="a jump of wave 1 in the last period before launch",
        turn=lambda s: UserKnobs(anticipation=amount("did-anticipation", s)),
    ),
    Scenario(
        name="did-composition",
        design="did",
        breaks="After launch more heavy users sign up in wave 1, so other people are compared.",
        equation="a share k of users is heavy instead of light in wave 1, t >= 20",
        dial="k; the bias is k times the gap between heavy and light users",
        revealable=False,
        revealed_by="the tiers' shares move with the launch, where the tier is given",
        revealed_with="covariates=engagement_tier",
        turn=lambda s: UserKnobs(heavy_shift=amount("did-composition", s)),
    ),
    Scenario(
        name="did-few-clusters",
        design="did",
        breaks="Six workspaces only, with large shocks of their own: naive errors are too small.",
        equation="6 workspaces; shock[s, t] × severity",
        dial="a factor on the workspaces' shocks (no bias)",
        revealable=True,
        revealed_by="the number of clusters",
        turn=lambda s: UserKnobs(n_workspaces=6, shock_scale=s),
        max_severity=4.0,
        is_bias=False,
    ),
    Scenario(
        name="did-spill-over",
        design="did",
        breaks="Wave 2 gains too while only wave 1 is live, so the controls are treated a little.",
        equation="p += k in wave 2, 20 <= t < 30",
        dial="k; the bias is -k",
        revealable=False,
        revealed_by="nothing: it looks like a smaller effect",
        turn=lambda s: UserKnobs(spill_over=amount("did-spill-over", s)),
    ),
)

PROPENSITY = (
    Scenario(
        name="propensity-hidden-confounder",
        design="propensity",
        breaks="An unrecorded trait drives both the opt-in and the outcome.",
        equation="logit += H - 1/2 and p += k (H - 1/2), H = 1 for a hidden half of the users",
        dial="k",
        revealable=False,
        revealed_by="nothing without a negative control",
        turn=lambda s: UserKnobs(
            hidden_selection=1.0, hidden_outcome=amount("propensity-hidden-confounder", s)
        ),
    ),
    Scenario(
        name="propensity-no-overlap",
        design="propensity",
        breaks="Heavy users with easy queries always opt in: nobody like them to compare with.",
        equation="P(opt in) = 1 and p += k for heavy users with c > 0.70",
        dial="k: what the extrapolation gets wrong",
        revealable=True,
        revealed_by="scores near 1 and an empty control group there",
        turn=lambda s: UserKnobs(
            certain_opt_in=True, certain_base=amount("propensity-no-overlap", s)
        ),
    ),
    Scenario(
        name="propensity-nonlinear-selection",
        design="propensity",
        breaks="The first and the last signup weeks opt in more and complete more.",
        equation="logit += 1.2 (z² - 1/3) and p += k (z² - 1/3)",
        dial="k",
        revealable=True,
        revealed_by="imbalance of squares and interactions after weighting; score calibration",
        turn=lambda s: UserKnobs(
            curved_selection=1.2, curved_outcome=amount("propensity-nonlinear-selection", s)
        ),
    ),
    Scenario(
        name="propensity-post-treatment",
        design="propensity",
        breaks="The logged confidence was written after the opt-in and agent mode raises it.",
        equation="query_confidence = c + k opt_in; the outcome depends on c",
        dial="k",
        revealable=False,
        revealed_by="nothing but knowing when a column was written",
        turn=lambda s: UserKnobs(score_after_opt_in=amount("propensity-post-treatment", s)),
    ),
)

RDD = (
    Scenario(
        name="rdd-gamed-scores",
        design="rdd",
        breaks="Savvy users push a score from just above the cutoff to just below it.",
        equation="V = 1 for 35%: c in [0.85, 0.89) is logged as 1.70 - c; p += k (V - 0.35)",
        dial="k: how much more the savvy complete",
        revealable=True,
        revealed_by="a jump of the scores' density at the cutoff",
        turn=lambda s: UserKnobs(savvy_share=0.35, savvy_base=amount("rdd-gamed-scores", s)),
    ),
    Scenario(
        name="rdd-rounded-scores",
        design="rdd",
        breaks="The log keeps steps of 0.025: how steep the curve is at the cutoff is hidden.",
        equation="score = floor(c / 0.025) 0.025; p as in rdd-curvature",
        dial="k",
        revealable=True,
        revealed_by="few distinct scores near the cutoff",
        turn=lambda s: UserKnobs(
            score_step=0.025, bend=amount("rdd-rounded-scores", s), bend_width=0.03
        ),
    ),
    Scenario(
        name="rdd-overrides",
        design="rdd",
        breaks="Staff overrule the router: a share on each side gets the other model.",
        equation="routed = [score < 0.85] xor [U < k]",
        dial="k; the sharp bias is -12 k points, so k = 1/2 is 2.5 standard errors and the end",
        revealable=False,
        revealed_by="the flag against the score, where the flag is given",
        revealed_with="treatment=routed_to_premium",
        turn=lambda s: UserKnobs(override_share=amount("rdd-overrides", s)),
        severities=(1.0, 2.0, 2.5),
        max_severity=2.5,
    ),
    Scenario(
        name="rdd-curvature",
        design="rdd",
        breaks="The curve is steep just around the cutoff, and lines on both sides miss that.",
        equation="p += k sign(d) d² exp(1 - d²), d = (c - 0.85) / 0.03",
        dial="k",
        revealable=True,
        revealed_by="the bandwidth sweep and higher orders",
        turn=lambda s: UserKnobs(bend=amount("rdd-curvature", s), bend_width=0.03),
    ),
    Scenario(
        name="rdd-second-rule",
        design="rdd",
        breaks="A second rule, a shorter answer, switches at the same cutoff.",
        equation="p += k for score < 0.85",
        dial="k; the bias is k",
        revealable=False,
        revealed_by="nothing but knowing the rules",
        turn=lambda s: UserKnobs(second_rule=amount("rdd-second-rule", s)),
    ),
)

SYNTHETIC_CONTROL = (
    Scenario(
        name="synthetic-control-outside-hull",
        design="synthetic_control",
        breaks="The upgraded workspaces lie above the others and were pulling away before.",
        equation="upgraded: level + 0.08, drift + k",
        dial="k",
        revealable=True,
        revealed_by="the gap before launch; the donors' hull",
        turn=lambda s: TelemetryKnobs(
            treated_level=0.08, treated_drift=amount("synthetic-control-outside-hull", s)
        ),
    ),
    Scenario(
        name="synthetic-control-contaminated-donors",
        design="synthetic_control",
        breaks="Half of the donors gained from the launch as well.",
        equation="half of the others: p += k, t >= 90",
        dial="k; the bias is about -k / 2",
        revealable=True,
        revealed_by="some donors jump on the launch day",
        turn=lambda s: TelemetryKnobs(
            donor_spill=amount("synthetic-control-contaminated-donors", s)
        ),
    ),
    Scenario(
        name="synthetic-control-launch-week-shock",
        design="synthetic_control",
        breaks="In launch week an unrelated push helped the upgraded and a few donors.",
        equation="upgraded and 3 in 10 of the others: p += k, 90 <= t < 97",
        dial="k; the bias is about 0.16 k",
        revealable=True,
        revealed_by="some donors jump in launch week; the effect by day",
        turn=lambda s: TelemetryKnobs(
            launch_shock=amount("synthetic-control-launch-week-shock", s)
        ),
        max_severity=4.0,
    ),
    Scenario(
        name="synthetic-control-short-history",
        design="synthetic_control",
        breaks="The panel starts shortly before the launch: weights fit noise.",
        equation="42 / severity days before the upgrade, 7 at least, 90 at severity 0",
        dial="the history's length (no bias)",
        revealable=True,
        revealed_by="the number of days before launch",
        turn=lambda s: TelemetryKnobs(
            history_days=90 if s == 0 else min(90, max(7, round(42 / s)))
        ),
        is_bias=False,
    ),
    Scenario(
        name="synthetic-control-everyone",
        design="synthetic_control",
        breaks="Everyone was upgraded, and something else changed on the same day.",
        equation="no donor; p += k everywhere, t >= 90",
        dial="k; the bias of before against after is k",
        revealable=True,
        revealed_by="no donor is left",
        turn=lambda s: TelemetryKnobs(
            everyone=True, common_shock=amount("synthetic-control-everyone", s)
        ),
        launch="everyone",
    ),
    Scenario(
        name="synthetic-control-ruler-changes",
        design="synthetic_control",
        breaks="The new version's log loses failed tasks: the ruler moved, not the product.",
        equation="upgraded: each failed task is lost with probability r; rate = p/(p + (1-p)(1-r))",
        dial="r, solved so that the logged rate is k above the true one",
        revealable=False,
        revealed_by="nothing in the rate; the number of tasks falls by (1 - p) r",
        revealed_with="negative_controls=tasks",
        turn=lambda s: TelemetryKnobs(lost_failures=_lost_failures(s)),
    ),
)

UPLIFT = (
    Scenario(
        name="uplift-no-heterogeneity",
        design="uplift",
        breaks="The prompt helps everyone alike: any ranking of users is noise.",
        equation="prompt effect = 4 points for everyone",
        dial="none",
        revealable=True,
        revealed_by="the ranking's gain on users who did not make it",
        turn=lambda s: UserKnobs(prompt_spread=0.0),
        severities=(1.0,),
        is_bias=False,
    ),
    Scenario(
        name="uplift-sleeping-dogs",
        design="uplift",
        breaks="The prompt harms more users than it seems: rolling it out to all is a mistake.",
        equation="prompt effect - 0.015 severity for everyone",
        dial="the average effect (no bias)",
        revealable=True,
        revealed_by="the effect among those ranked last",
        turn=lambda s: UserKnobs(prompt_shift=-0.015 * s),
        is_bias=False,
    ),
    Scenario(
        name="uplift-confounded-assignment",
        design="uplift",
        breaks="Support gave the prompt to users who complete more, by what it saw and by hunch.",
        equation="logit P(prompt) = (base - mean)/0.29 + H - 1/2 and p += k (H - 1/2), H hidden",
        dial="k",
        revealable=True,
        revealed_by="features differ between the arms of what should be a coin flip",
        turn=lambda s: UserKnobs(
            prompt_selection=0.5,
            prompt_hidden=1.0,
            hidden_outcome=amount("uplift-confounded-assignment", s),
        ),
    ),
)

CATALOGUE = (*GENERAL, *DID, *PROPENSITY, *RDD, *SYNTHETIC_CONTROL, *UPLIFT)
