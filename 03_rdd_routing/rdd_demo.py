# %% [markdown]
# # Threshold routing: what does the premium model buy at the cutoff?
#
# The router sends a query to the premium model when its confidence is below 0.85.
# Nobody flipped a coin. But users at 0.849 and at 0.851 are alike, and only one of
# them got the premium model: the jump in task completion at the cutoff is its effect.

# %%
import argparse
from collections.abc import Callable
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from noholdout_data_generator import generate
from noholdout_rdd import estimate
from noholdout_shared.style import house_style

parser = argparse.ArgumentParser(description="Threshold routing, worked through.")
parser.add_argument("--data", type=Path, help="a folder that 'noholdout generate' wrote")
parser.add_argument("--out", type=Path, help="save the pictures in this folder")
parser.add_argument("--n-users", type=int, default=50_000)
parser.add_argument("--seed", type=int, default=42)
options = parser.parse_known_args()[0]


def show(name: str, draw: Callable[[], object]) -> None:
    """Draw a picture; save it with --out, show it in a notebook."""
    with house_style():
        draw()
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            plt.savefig(options.out / f"{name}.png")
        if "inline" in plt.get_backend():  # a notebook
            plt.show()
        plt.close("all")


# %% [markdown]
# ## 1. The data, and the truth that no estimator may see
# The true effect at the cutoff is the gap between the two curves of completion
# probability right at 0.85, taken from the generator's potential outcomes.

# %%
if options.data:
    import json

    users = pd.read_csv(options.data / "users.csv")
    truth = json.loads((options.data / "truth.json").read_text())
else:
    made = generate(n_users=options.n_users, seed=options.seed)
    users, truth = made.users, made.truth
true_effect = truth["rdd"]["at_cutoff"]["population"]
print(users[["query_confidence", "routed_to_premium", "task_completed"]].head(4))
print(f"\nTrue effect of premium at the cutoff: {100 * true_effect:+.2f} points")

# %% [markdown]
# ## 2. The naive answer
# Premium users against the others, whatever their confidence: easy queries go to
# the small model, so the comparison mixes the model with the query.

# %%
by_model = users.groupby("routed_to_premium")["task_completed"].mean()
naive = by_model[1] - by_model[0]
print(f"Naive difference: {100 * naive:+.2f} points")
print(f"Its bias: {100 * (naive - true_effect):+.2f} points")

# %% [markdown]
# ## 3. The checks
# Did anyone move their score across the cutoff? Does the outcome jump where no rule
# switches? Does the answer hang on the bandwidth, the polynomial, or the rows right
# at the cutoff? A check that finds nothing isn't proof.

# %%
question = {
    "outcome": "task_completed",
    "running": "query_confidence",
    "cutoff": 0.85,
    "treated_side": "below",
}
result = estimate(users, **question, costs=["cost_usd"], step=0.01)
for check in result.checks:
    p_value = "" if np.isnan(check.p_value) else f"p = {check.p_value:.3f}"
    print(f"{check.status:<18}{check.name:<18}{p_value}")

# %% [markdown]
# ## 4. The estimate
# A line on each side, weighted towards the cutoff, within the bandwidth that
# minimises the mean squared error; its bias estimated, taken out, and counted.

# %%
print(result.summary())
print()
print(result.tables["bandwidths"].round(4).to_string(index=False))
print()
print(result.tables["variants"].round(4).to_string(index=False))
show("rdd_fits", result.plot)
show("rdd_sweep", result.plot_sweep)
show("rdd_placebos", result.plot_placebos)
show("rdd_density", result.plot_density)

# %% [markdown]
# **The price of the threshold.** Where should the cutoff be? The effect and the
# slopes at 0.85 say what a small move would change in completed tasks and in
# dollars, per 1,000 users; the table says how far the data allow to go.

# %%
columns = ["cutoff", "moved", "task_completed_change", "cost_usd_change", "within_reach"]
print(result.tables["price"][columns].round(2).to_string(index=False))
print(fill(result.check("price_reach").message, 80))
show("rdd_price", result.plot_price)

# %% [markdown]
# ## 5. The estimate against the truth

# %%
covered = result.conf_low <= true_effect <= result.conf_high
print(f"Truth     {100 * true_effect:+.2f} points")
print(f"Naive     {100 * naive:+.2f} points")
print(
    f"Estimate  {100 * result.estimate:+.2f} points, "
    f"interval {100 * result.conf_low:+.2f} to {100 * result.conf_high:+.2f}: "
    f"{'holds' if covered else 'misses'} the truth"
)

# %% [markdown]
# ## 6. Break it
# **Gamed scores.** Someone learns that a score just below 0.85 gets the better
# model, and the users who complete their tasks anyway are nudged across. They pile
# up below the cutoff, which the density test sees.

# %%
rng = np.random.default_rng(options.seed)
score = users["query_confidence"]
within_reach = score.between(0.85, 0.87) & (users["task_completed"] == 1)
moved = within_reach & (rng.random(len(users)) < 0.4)
gamed = users.assign(query_confidence=score.mask(moved, 0.85 - rng.uniform(0, 0.01, len(users))))
broken = estimate(gamed, **question)
print(f"Estimate {100 * broken.estimate:+.2f} points; verdict: {broken.verdict}")
print(fill(broken.check("density").message, 80))

# %% [markdown]
# **A second rule at the same cutoff.** The product also shows a longer answer below
# 0.85, worth 8 points more. No data can tell the two rules apart: every check stays
# as it was, and only `other_changes` says what to ask.

# %%
helped = (score < 0.85) & (users["task_completed"] == 0) & (rng.random(len(users)) < 0.2)
two_rules = users.assign(task_completed=users["task_completed"].mask(helped, 1))
broken = estimate(two_rules, **question)
print(f"Estimate {100 * broken.estimate:+.2f} points; verdict: {broken.verdict}")
print(fill(broken.check("other_changes").message, 80))

# %% [markdown]
# ## 7. In plain words
# For queries right at the cutoff the premium model completes a few more tasks in a
# hundred, and the interval says how sure that is. It says nothing about queries far
# from 0.85. Before you believe it, ask who can move a score, and what else switches
# at the same number.
