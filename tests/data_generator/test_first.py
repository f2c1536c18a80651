from noholdout_data_generator import generate


def test_tables_have_the_promised_columns() -> None:
    d = generate(n_users=1000, seed=1)
    assert d.users.shape == (1000, 16)
    assert d.telemetry.shape == (6000, 12)
