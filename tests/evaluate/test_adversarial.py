import numpy as np

from leadscore.evaluate.adversarial import tell_apart


def rows(seed: int, n: int = 600, shift: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    values[:, 2] += shift
    values[::7, 1] = np.nan
    return values


def apart(first, second, groups=None):
    groups = groups or (np.arange(len(first)), np.arange(len(second)) + 10_000)
    return tell_apart(first, second, names=list("abcd"), categorical=[], groups=groups, seed=0)


def test_rows_of_one_world_are_not_told_apart():
    assert abs(apart(rows(1), rows(2)).auc - 0.5) < 0.06


def test_a_shift_is_found_and_named():
    found = apart(rows(1), rows(2, shift=1.5))
    assert found.auc > 0.8
    assert next(iter(found.by)) == "c"
    assert abs(sum(found.by.values()) - 1) < 1e-9


def test_a_group_that_is_in_both_gives_nothing_away():
    """Every lead has the same row in both sets: memory alone must not tell them apart."""
    same = rows(3)
    leads = np.arange(len(same))
    assert abs(apart(same, same, (leads, leads)).auc - 0.5) < 0.05


def test_same_seed_same_answer_and_few_rows_say_nothing():
    assert apart(rows(1), rows(2)) == apart(rows(1), rows(2))
    assert apart(rows(1), rows(2, n=29)) is None
