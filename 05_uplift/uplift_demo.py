# %% [markdown]
# # Personalised rollouts: who should get the new prompt?
# A new prompt was given to a random half of the users. On average it helps.
# But it helps some users more than others, and it harms some. Uplift ranks
# users by what they gain, and says what such a ranking is worth.

# %% (1) make the data, print the truth
import argparse
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

parser = argparse.ArgumentParser(description="Personalised rollouts, worked.")
parser.add_argument("--data", help="folder that 'noholdout generate' wrote")
parser.add_argument("--out", help="save the pictures in this folder")
parser.add_argument("--n-users", type=int, default=50_000)
parser.add_argument("--seed", type=int, default=42)
args, _ = parser.parse_known_args()

if args.data:
    users = pd.read_csv(Path(args.data) / "users.csv")
    truth_users = pd.read_csv(Path(args.data) / "truth_users.csv")
else:
    from noholdout_data_generator import generate

    product = generate(n_users=args.n_users, seed=args.seed)
    users, truth_users = product.users, product.truth_users

# Each user's true effect: no estimator sees it.
true_effect = truth_users["effect_prompt"].to_numpy()
print(f"{len(users):,} users, {users['prompt_variant'].mean():.1%} got the prompt")
print(f"true effect on task completion: {100 * true_effect.mean():+.2f} points")
print(f"users whom it harms: {np.mean(true_effect < 0):.0%}")

# %% [markdown]
# ## (2) The naive answer
# Train a model of who gains, take the fifth with the highest prediction, and
# compare treated with untreated among the very users who trained the model.
# It has put users on top partly for their luck, so this is too good.

# %%
from noholdout_uplift import bootstrap_errors, estimate


def measure(data: pd.DataFrame, treatment: str, **options: object):
    return estimate(
        data,
        outcome="task_completed",
        treatment=treatment,
        features=["engagement_tier", "signup_week", "query_confidence"],
        seed=args.seed,
        **options,
    )


result = measure(users, "prompt_variant")
naive = result.settings["in_sample_top_effect"]
truth = np.average(true_effect, weights=result.scores["top"])
print(f"top fifth of the training rows: {100 * naive:+.2f} points")
print(f"its bias: {100 * (naive - truth):+.2f} points")

# %% [markdown]
# ## (3) The checks
# Was the coin fair, could everyone get both prompts, is the ranking judged by
# users who didn't make it, are there enough of them?

# %%
for check in result.checks:
    print(f"{check.status:>16}  {check.name}")
print("verdict:", result.verdict)

# %% [markdown]
# ## (4) The estimate
# Users stand in five folds. A model of the earlier folds ranks the next fold,
# and its users judge that ranking: nobody judges a model that saw them.

# %%
print(result.summary())
metrics = result.tables["metrics"]
print(metrics.round(4).to_string(index=False))

drawn = bootstrap_errors(result, replicates=500, seed=args.seed)
print(f"standard error, influence function: {100 * result.std_error:.2f} points")
print(f"standard error, 500 bootstraps:     {100 * drawn['top']:.2f} points")

# %% [markdown]
# ## (5) Estimate against truth
# For the users who were chosen, and for the tiers, which nobody chose.

# %%
covered = result.conf_low <= truth <= result.conf_high
print(f"truth    {100 * truth:+.2f} points (mean effect of the chosen)")
print(f"estimate {100 * result.estimate:+.2f} points")
print(f"interval {100 * result.conf_low:+.2f} to {100 * result.conf_high:+.2f}")
print("the interval holds the truth" if covered else "the interval misses it")

segments = result.tables["segments"].set_index(["feature", "segment"])
for tier, row in segments.loc["engagement_tier"].iterrows():
    actual = true_effect[users["engagement_tier"] == tier].mean()
    low, high = 100 * row["conf_low"], 100 * row["conf_high"]
    print(
        f"{tier:<7} {100 * row['estimate']:+.1f} points ({low:+.1f} to {high:+.1f}), "
        f"truth {100 * actual:+.1f}"
    )

# %%
import matplotlib.pyplot as plt

result.plot()
if args.out:
    Path(args.out).mkdir(parents=True, exist_ok=True)
    plt.gcf().savefig(Path(args.out) / "uplift.png", dpi=130)
if "inline" not in plt.get_backend():  # a notebook shows what is open
    plt.close("all")

# %%
result.plot_deciles()
if args.out:
    plt.gcf().savefig(Path(args.out) / "uplift_deciles.png", dpi=130)
if "inline" not in plt.get_backend():  # a notebook shows what is open
    plt.close("all")

# %% [markdown]
# ## (6) Break an assumption
# Nobody drew lots for agent mode: users opted in. Rank users by its effect as
# if a coin had decided, and the first check speaks up.

# %%
broken = measure(users, "opt_in_agent_mode", model="linear")
check = broken.check("randomised_assignment")
print(f"verdict: {broken.verdict}")
print(textwrap.fill(f"{check.name}: {check.status}. {check.message}", 80))

# %% [markdown]
# If one user's prompt changes what another user sees, no row shows it. All
# that can be said is how large that would have to be.

# %%
print(textwrap.fill(result.check("no_interference").message, 80))

# %% [markdown]
# ## (7) In plain words

# %%
policy = result.tables["policy"].set_index("rule")["value"]
ate = metrics["estimate"][0]
print(
    f"The fifth of users whom the prompt helps most gains {100 * result.estimate:.0f} points,\n"
    f"the average user {100 * ate:.0f}; judged on the users who trained the ranking it\n"
    f"would have been {100 * naive:.0f}. With the prompt for all, {policy['treat-all']:.1%} of\n"
    f"tasks are completed; without it, {policy['treat-none']:.1%}.\n"
    f"Decision: {result.decision}."
)
