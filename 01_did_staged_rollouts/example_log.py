"""Write a rollout log for the example data: python 01_did_staged_rollouts/example_log.py data/

The launch by wave, three workspaces rolled back, a price change that reached ten workspaces of
wave 1 two weeks after their launch, and a model change for everybody.
"""

import sys
from pathlib import Path

import pandas as pd

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
users = pd.read_csv(folder / "users.csv")
launch = users.groupby("workspace_id")["treatment_week"].first()
early = launch.index[launch == launch.min()]
events = [("copilot", unit, week, "on") for unit, week in launch.items()]
events += [("copilot", unit, 26, "rollback") for unit in early[:3]]
events += [("new-price", unit, 22, "on") for unit in early[:10]]
events += [("model-v2", None, 24, "on")]
log = pd.DataFrame(events, columns=["flag", "unit", "time", "event"])
log.to_csv(folder / "rollout_log.csv", index=False)
print(f"{folder / 'rollout_log.csv'}: {len(log)} events of {log['flag'].nunique()} flags")
