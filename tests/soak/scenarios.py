# SPDX-License-Identifier: MIT
"""What goes wrong in a campaign, by name: each runs one with so many faults, and returns it with the violations found."""

import contextlib
import json
import subprocess
import sys

from harness import child
from harness.disk import SmallDisk, StoreOnDisk
from harness.optuna_scripts import READ
from harness.peers import Peer
from soak.campaign import Campaign
from soak.large import Large
from soak.workers import Workforce


@contextlib.contextmanager
def running(campaign):
    try:
        yield campaign.begin()
    except Exception:
        for studyd in campaign.studyds:
            print(f"--- {studyd.log_path}\n{studyd.log()[-5000:]}", file=sys.stderr)
        raise
    finally:
        campaign.stop()


def go_through(campaign, faults):
    """One after the other, a little apart; and what is wrong afterwards."""
    for fault in faults:
        campaign.go_on_a_little()
        fault()
    campaign.go_on_a_little()
    return campaign, campaign.violations()


def kills(directory, store, server, n_faults, seed):
    """studyd is killed and started again."""
    with running(Campaign(directory, store, seed=seed)) as campaign:
        return go_through(campaign, n_faults * [campaign.kill_studyd])


def bad_network(directory, store, server, n_faults, seed):
    """Requests and answers get lost, are late, and come twice; studyd is killed now and then."""
    with running(Campaign(directory, store, seed=seed, has_bad_network=True)) as campaign:
        for _ in range(n_faults):
            campaign.go_on(150)
            campaign.kill_studyd()
        campaign.go_on(150)
        return campaign, campaign.violations()


def database_kills(directory, store, server, n_faults, seed):
    """The server is killed and started again; every fifth time studyd dies afterwards, too, and reads what there is."""
    with running(Campaign(directory, store, seed=seed)) as campaign:
        for index in range(n_faults):
            campaign.go_on_a_little()
            campaign.kill_database(server)
            if index % 5 == 0:
                campaign.kill_studyd()
        campaign.go_on_a_little()
        return campaign, campaign.violations()


def failovers(directory, store, server, n_faults, seed):
    """Whoever owns the database is killed; the other one serves, and whom clients asked in vain they ask no more."""
    with running(Campaign(directory, store, seed=seed, n_studyds=2)) as campaign:
        return go_through(campaign, n_faults * [campaign.kill_studyd])


def frozen_owners(directory, store, server, n_faults, seed):
    """The owner stands still in whatever it does, until another one has the database; then it goes on."""
    with running(Campaign(directory, store, seed=seed, n_studyds=2, patience_s=3, may_be_stale=True)) as campaign:
        return go_through(campaign, n_faults * [campaign.freeze_studyd])


def everything(directory, store, server, n_faults, seed):
    """Over a bad network, with a standby: owners are killed and frozen, and so is the database killed, in any order."""
    with running(Campaign(directory, store, seed=seed, n_studyds=2, has_bad_network=True, patience_s=3, may_be_stale=True)) as campaign:
        faults = [campaign.kill_studyd, campaign.kill_studyd]
        if server:
            faults += [campaign.freeze_studyd, lambda: campaign.kill_database(server)]
        return go_through(campaign, campaign.random.choices(faults, k=n_faults))


def full_disk(directory, store, server, n_faults, seed):
    """SQLite's disk is full now and then; studyd dies on a full one, too, and comes back on it."""
    disk = SmallDisk(directory / "disk")
    try:
        campaign = Campaign(directory, StoreOnDisk(disk, directory / "disk"), seed=seed)
        campaign.studyds[0].command[:0] = disk.inside
        with running(campaign):
            for index in range(n_faults):
                campaign.go_on_a_little()
                campaign.fill_disk(disk)
                if index % 2:
                    campaign.kill_studyd()
            campaign.go_on_a_little()
            return campaign, campaign.violations()
    finally:
        disk.close()


# Says, for each trial that it told, number and value. SQLite may be busy: then it tries again, as people do.
OPTUNA = """
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name=sys.argv[1], storage=optuna.storages.RDBStorage(
    sys.argv[2], engine_kwargs={"connect_args": {"timeout": 60}} if sys.argv[2].startswith("sqlite") else None))
told = {}

def objective(trial):
    trial.suggest_float("x", 0, 1e6)
    trial.suggest_int("k", 1, 9)
    trial.suggest_categorical("c", ["a", "b", None])
    told[trial.number] = -trial.number - 0.5
    return told[trial.number]

print("begins", flush=True)
study.optimize(objective, n_trials=int(sys.argv[3]))
print(json.dumps(told))
"""


def optuna_beside(directory, store, server, n_faults, seed):
    """The real Optuna runs trials in the same study meanwhile; studyd is killed now and then. Each sees all of the other's."""
    peer = Peer("optuna5")
    has_waiting = server is not None  # on SQLite, Optuna takes a waiting trial without a lock, whoever else has it meanwhile
    with running(Campaign(directory, store, seed=seed, has_waiting=has_waiting)) as campaign:
        study = campaign.studies[0]
        optuna = child.start(peer.command(OPTUNA, study.name, store.optuna_url, 10 * n_faults), stdout=subprocess.PIPE, text=True)
        assert optuna.stdout.readline() == "begins\n"
        for _ in range(n_faults):
            campaign.go_on_a_little()
            campaign.kill_studyd()
        while optuna.poll() is None:
            campaign.go_on(10)  # neither is in the other's way for long
        said = optuna.stdout.read()
        assert optuna.returncode == 0, said
        campaign.foreign[study.uid] = {int(number): value for number, value in json.loads(said).items()}
        violations = campaign.violations()
        seen = {trial["number"]: (trial["state"], trial["params"], trial["values"] or [])
                for trial in peer.run(READ, study.name, store.optuna_url)["trials"]}
        stored = {number: (trial["state"], trial["params"], trial["values"])
                  for number, trial in campaign.case.stored[study.uid]["trials"].items()}
        if seen != stored:
            violations.append(f"Optuna sees another study {study.name} than is stored")
        return campaign, violations


def workers(directory, store, server, n_faults, seed):
    """Real workers with a list of coordinators: owners, workers and runners are killed, workers are frozen past their leases."""
    with running(Workforce(directory, store, seed)) as workforce:
        for _ in range(n_faults):
            for fault in (workforce.kill_studyd, workforce.kill_runner, workforce.kill_worker, workforce.freeze_worker):
                workforce.go_on()
                fault()
        workforce.go_on()
        return workforce, workforce.violations()


def large(directory, store, server, n_faults, seed):
    """The owner of a database with 100,000 trials is killed: somebody serves again within seconds."""
    with running(Large(directory, store, n_studyds=2)) as stage:
        return stage, stage.violations(n_faults)


SCENARIOS = {"kills": kills, "bad network": bad_network, "database kills": database_kills, "fail-overs": failovers,
             "frozen owners": frozen_owners, "everything": everything, "full disk": full_disk, "optuna beside": optuna_beside, "workers": workers, "large": large}
