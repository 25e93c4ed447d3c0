# SPDX-License-Identifier: MIT
"""The short form of `make soak`: random clients, few faults of each kind, and the history checker afterwards."""

import pytest

from harness.stores import SqliteStore
from soak import scenarios
from soak.__main__ import SOAK


@pytest.fixture
def play(directory, request):
    """play(scenario, kind, n_faults): nothing that was acknowledged is missing, and nothing is there twice."""
    def play(scenario, kind, n_faults):
        server = request.getfixturevalue("mariadb") if kind == "mysql" else None
        campaign, violations = scenario(directory, server.new_database() if server else SqliteStore(directory), server, n_faults, seed=None)
        assert not violations, "\n".join(violations[:10])
        assert campaign.counts()["acknowledged"] > 100
    return play


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
def test_studyd_is_killed(play, kind):
    play(scenarios.kills, kind, 5)


def test_a_bad_network(play):
    play(scenarios.bad_network, "sqlite", 1)


@pytest.mark.mysql
def test_the_database_is_killed(play):
    play(scenarios.database_kills, "mysql", 2)


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
def test_a_standby_takes_over(play, kind):
    play(scenarios.failovers, kind, 2)


@pytest.mark.mysql
def test_a_frozen_owner(play):
    play(scenarios.frozen_owners, "mysql", 1)


def test_a_full_disk(play):
    play(scenarios.full_disk, "sqlite", 2)


@pytest.mark.mysql
def test_optuna_beside(play):
    play(scenarios.optuna_beside, "mysql", 1)


@pytest.mark.mysql
def test_workers(play):
    play(scenarios.workers, "mysql", 1)


def test_make_soak_has_every_campaign():
    assert {name for name, _, _ in SOAK} == scenarios.SCENARIOS.keys()
