# %% [markdown]
# # Staged rollouts: what did the launch change?
# The copilot reached 25 workspaces in week 20 and the other 25 in week 30.
# Nobody could hold a group back, but from week 20 to 29 the second wave still
# worked without it. Difference-in-differences compares the two waves' changes.

# %% (1) make the data, print the truth
import argparse
import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

parser = argparse.ArgumentParser(description="Staged rollouts, worked.")
parser.add_argument("--data", help="folder that 'noholdout generate' wrote")
parser.add_argument("--out", help="save the pictures in this folder")
parser.add_argument("--n-users", type=int, default=50_000)
parser.add_argument("--seed", type=int, default=42)
args, _ = parser.parse_known_args()

if args.data:
    users = pd.read_csv(Path(args.data) / "users.csv")
    truth = json.loads((Path(args.data) / "truth.json").read_text())
else:
    from noholdout_data_generator import generate

    product = generate(n_users=args.n_users, seed=args.seed)
    users, truth = product.users, product.truth

# Five-week periods; both launches fall on a period's first week.
users = users.assign(period=users["signup_week"] // 5, launch=users["treatment_week"] // 5)
true_effect = truth["did"]["simple"]["sample"]
print(f"{len(users):,} users in {users['workspace_id'].nunique()} workspaces")
print(f"true effect on wave 1, weeks 20 to 29: {100 * true_effect:+.2f} points")

# %% [markdown]
# ## (2) The naive answer
# Users after their launch against users before it: the product got better
# over the year anyway, and the launch is given credit for that.

# %%
done = users.groupby("treated_post")["task_completed"].mean()
naive = done[1] - done[0]
print(f"after minus before launch: {100 * naive:+.2f} points")
print(f"its bias: {100 * (naive - true_effect):+.2f} points")

# %% [markdown]
# ## (3) The checks
# Did the two waves move alike before either had the launch?

# %%
from noholdout_did import estimate


def measure(data: pd.DataFrame, **options: object):
    return estimate(
        data,
        outcome="task_completed",
        time="period",
        first_treated="launch",
        cluster="workspace_id",
        **options,
    )


result = measure(users, inference="bootstrap", replicates=500)
for check in result.checks:
    print(f"{check.status:>16}  {check.name}")
print("verdict:", result.verdict)

# %% [markdown]
# ## (4) The estimate
# Effects by wave and period (Callaway and Sant'Anna), their average, and the
# plain two-by-two; errors by workspace, 500 multiplier draws.

# %%
print(result.summary())
table = result.tables["group_time"]
print(table.round(4).to_string(index=False))

boxes = measure(users, estimator="two-by-two")
low, high = 100 * boxes.conf_low, 100 * boxes.conf_high
print(f"two-by-two: {100 * boxes.estimate:+.2f} points ({low:+.2f} to {high:+.2f})")

# %% [markdown]
# ## (5) Estimate against truth

# %%
covered = result.conf_low <= true_effect <= result.conf_high
print(f"truth    {100 * true_effect:+.2f} points")
print(f"estimate {100 * result.estimate:+.2f} points")
print(f"interval {100 * result.conf_low:+.2f} to {100 * result.conf_high:+.2f}")
print("the interval holds the truth" if covered else "the interval misses it")

# %%
import matplotlib.pyplot as plt

result.plot()
if args.out:
    plt.gcf().savefig(Path(args.out) / "did.png", dpi=130)
if "inline" not in plt.get_backend():  # a notebook shows what is open
    plt.close("all")

# %% [markdown]
# ## (6) Break an assumption
# Say that wave 1 was chosen because it was improving already: each period, ten
# in a hundred of its users succeed who would have failed. Parallel trends no
# longer hold. Before the launch that drift is visible, and the check says so.

# %%
rng = np.random.default_rng(args.seed)
wave_1 = users["wave"] == 1
lucky = rng.random(len(users)) < 0.10 * users["period"] * wave_1
drifting = users.assign(task_completed=users["task_completed"].where(~lucky, 1))
broken = measure(drifting)
print(f"estimate with the drift: {100 * broken.estimate:+.2f} points")
slope = broken.check("pre_trend_slope")
print(f"verdict: {broken.verdict}; {slope.name}: {slope.status}")
print(textwrap.fill(slope.message, 80))

# %% [markdown]
# A shock that hits wave 1 in week 20 itself looks exactly like the launch.
# No check can find it: all that can be said is how large it would have to be.

# %%
print(textwrap.fill(result.check("parallel_trends").message, 80))

# %% [markdown]
# ## (7) In plain words

# %%
print(
    f"The launch raised task completion by about {100 * result.estimate:.0f} points\n"
    f"in the first wave, and the data are compatible with anything from\n"
    f"{100 * result.conf_low:.1f} to {100 * result.conf_high:.1f}. Looking at users before and "
    f"after would have said\n{100 * naive:.0f}. After week 30 nobody is left to compare with, so\n"
    "about the second wave these data say nothing."
)
