"""Threads that share a batch: sums over all of them, failures that do not leave the others waiting."""

import threading

import numpy as np
import pytest

from cnnlab.scratch.team import Team


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_thread_gets_the_sum_of_all(size):
    team = Team(size)

    def task(rank):
        first = team.total(rank, np.array([float(rank), 1.0]))
        return first, team.total(rank, first * 2)

    for first, second in team.run(task):
        np.testing.assert_array_equal(first, [size * (size - 1) / 2, size])
        np.testing.assert_array_equal(second, first * 2 * size)
    team.close()


def test_sums_do_not_depend_on_which_thread_is_first():
    team, values = Team(3), np.array([1e8, 1.0, -1e8], np.float32)
    totals = {team.run(lambda rank: team.total(rank, values[rank : rank + 1]))[0].item() for _ in range(50)}
    assert totals == {float(np.float32(np.float32(1e8) + np.float32(1.0)) + np.float32(-1e8))}


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_ends_the_others_and_is_the_error_that_is_raised(failing):
    team = Team(2)

    def task(rank):
        if rank == failing:
            raise KeyError("mine")
        return team.total(rank, np.zeros(1))

    with pytest.raises(KeyError, match="mine"):
        team.run(task)
    assert [total.item() for total in team.run(lambda rank: team.total(rank, np.ones(1)))] == [2, 2]


def test_one_thread_starts_none():
    before = threading.active_count()
    assert Team(1).run(lambda rank: rank) == [0]
    assert threading.active_count() == before
