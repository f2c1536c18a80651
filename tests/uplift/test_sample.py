"""A sample on request: the answer of those rows alone, and the line that says what it costs."""

from noholdout_data_generator import generate
from noholdout_shared.sampling import picks
from noholdout_uplift import estimate


def test_a_sample_answers_as_its_rows_alone_and_says_so() -> None:
    users = generate(n_users=6_000, seed=5).users
    asked = {
        "outcome": "task_completed",
        "treatment": "prompt_variant",
        "features": ["engagement_tier", "query_confidence"],
        "model": "linear",
    }
    found = estimate(users, **asked, sample=1_500, seed=2)
    alone = estimate(users.iloc[picks(6_000, 1_500, 2)].reset_index(drop=True), **asked, seed=2)
    assert found.estimate == alone.estimate
    assert found.n_obs == alone.n_obs
    assert "1,500 of 6,000 rows" in found.summary()
    # sqrt(6000 / 1500) = 2
    assert "adds 100% to the standard error" in found.settings["sample"]
