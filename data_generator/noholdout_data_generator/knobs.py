"""What a scenario may turn. Every default is the clean product."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UserKnobs:
    """Knobs of the users table; amounts are in probability unless said otherwise.

    Parameters
    ----------
    n_workspaces, shock_scale
        Number of workspaces, and a factor on the workspace-by-week shocks.
    effect_scale
        A factor on every true effect; 0 makes the product without any effect.
    wave_trend
        Extra weekly slope of wave 1, up to week 30.
    anticipation
        Wave 1's gain in the five weeks before its launch.
    heavy_shift
        Share of users who are heavy instead of light in wave 1 after its launch.
    spill_over
        What wave 2 gains while only wave 1 is live.
    hidden_selection, hidden_outcome
        A hidden half of the users: its logit of opting in, its probability of completing.
    certain_base
        On: heavy users with confidence above 0.70 always opt in, and complete more by this.
    curved_selection, curved_outcome
        Of ``z² - 1/3``, z the signup week on [-1, 1]: in the opt-in logit, in the probability.
    score_after_opt_in
        What agent mode adds to the logged confidence score (not to the query's).
    savvy_share, savvy_base
        Users who lower a score just above the cutoff to its mirror image just below; what
        they complete more.
    score_step
        The log cuts scores down to multiples of this.
    bend, bend_width
        Size and distance of a smooth dip below and rise above the cutoff, zero at it.
    override_share
        Share of users on each side of the cutoff who are routed against the rule.
    second_rule
        What a second rule at the same cutoff adds below it.
    prompt_spread, prompt_shift
        A factor on the prompt effect's deviations from 4 points; an addition to all of them.
    prompt_selection, prompt_hidden
        Logit of getting the new prompt: slope on the user's standardised base probability, and
        on being of the hidden half.
    """

    n_workspaces: int = 50
    shock_scale: float = 1.0
    effect_scale: float = 1.0
    wave_trend: float = 0.0
    anticipation: float = 0.0
    heavy_shift: float = 0.0
    spill_over: float = 0.0
    hidden_selection: float = 0.0
    hidden_outcome: float = 0.0
    certain_opt_in: bool = False
    certain_base: float = 0.0
    curved_selection: float = 0.0
    curved_outcome: float = 0.0
    score_after_opt_in: float = 0.0
    savvy_share: float = 0.0
    savvy_base: float = 0.0
    score_step: float = 0.0
    bend: float = 0.0
    bend_width: float = 0.03
    override_share: float = 0.0
    second_rule: float = 0.0
    prompt_spread: float = 1.0
    prompt_shift: float = 0.0
    prompt_selection: float = 0.0
    prompt_hidden: float = 0.0


@dataclass(frozen=True)
class TelemetryKnobs:
    """Knobs of the telemetry panel; amounts are in probability unless said otherwise.

    Parameters
    ----------
    n_workspaces
        Number of workspaces.
    effect_scale
        A factor on the true effect.
    everyone
        Upgrade every workspace, whatever launch is asked for.
    common_shock
        What every workspace gains from the upgrade day on, for another reason.
    treated_level, treated_drift
        Extra level and extra drift of the upgraded workspaces.
    donor_spill
        What half of the other workspaces gain from the upgrade day on.
    launch_shock
        What the upgraded and three in ten of the others gain in the first seven days.
    history_days
        Days before the upgrade that the panel holds.
    lost_failures
        Share of failed tasks that the new version's log loses.
    """

    n_workspaces: int = 50
    effect_scale: float = 1.0
    everyone: bool = False
    common_shock: float = 0.0
    treated_level: float = 0.0
    treated_drift: float = 0.0
    donor_spill: float = 0.0
    launch_shock: float = 0.0
    history_days: int = 90
    lost_failures: float = 0.0
