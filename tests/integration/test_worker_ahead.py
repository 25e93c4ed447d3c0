# SPDX-License-Identifier: MIT
"""Asking ahead: where trials are short, the next one is here before this one ends."""

import signal

import pytest

from harness.child import wait_until
from harness.runners import spec, write_runner

# Trial 0 is quick; from trial 1 on a trial says that it runs, and waits until it may end.
HELD = """
    number = trial["number"]
    if number > 0:
        open("{directory}/runs-%d" % number, "w").close()
        while not os.path.exists("{directory}/go-%d" % number):
            time.sleep(0.005)
    say(op="done", values=[number])
"""


class Work:
    """A study of three trials or more that are held, on one worker."""

    def __init__(self, studyd, directory, start_worker, *options, max_trials=3, **how):
        self.studyd, self.directory = studyd, directory
        studyd.create(spec(max_trials=max_trials))
        self.worker = start_worker(studyd, "--runner", write_runner(directory, HELD.format(directory=directory)), "--study", "s",
                                   "--gpus", "none", *options, **how)

    def wait_for(self, number):
        wait_until(f"trial {number} to run", (self.directory / f"runs-{number}").exists)

    def let_go(self, *numbers):
        for number in numbers:
            (self.directory / f"go-{number}").touch()

    def n_running(self):
        return self.studyd.show("s")["counts"]["running"]


@pytest.fixture
def work(start_studyd, sqlite, directory, start_worker):
    """work(*worker's options): Work on a fresh studyd."""
    return lambda *options, **how: Work(start_studyd(sqlite), directory, start_worker, *options, **how)


def test_the_next_trial_is_here_already(work):
    """One slot holds two trials: the one that runs and the next, which no other worker is given. The budget is exact."""
    held = work("--exit-when-finished", "--ask-ahead-below-s", "600")
    held.wait_for(1)
    wait_until("the ask ahead", lambda: held.n_running() == 2)
    assert held.studyd.ask("s")["trials"] == []
    held.let_go(1, 2)
    assert held.worker.wait() == 0
    assert [(trial["state"], trial["value"], trial["attempt"]) for trial in held.studyd.trials("s")] == \
        [("complete", number, 1) for number in range(3)]


def test_a_trial_that_turns_out_long(work):
    """What was asked ahead does not wait for hours behind one trial: it goes back for somebody else, who is given it."""
    held = work("--exit-when-finished", "--ask-ahead-below-s", "1")
    held.worker.wait_for_log('trial handed back study=s number=2 attempt=1 reason="no slot of the worker is free soon"')
    offer = held.studyd.ask_one("s")
    assert (offer["number"], offer["attempt"]) == (2, 2)
    held.studyd.tell("s", 2, offer["lease"], 2)
    held.let_go(1)
    assert held.worker.wait() == 0
    assert held.worker.log().count("handed back") == 1


def test_never_ahead(work):
    """--ask-ahead-below-s 0: the next trial is free for whoever asks."""
    held = work("--exit-when-finished", "--ask-ahead-below-s", "0")
    held.wait_for(1)
    offer = held.studyd.ask_one("s")
    assert offer["number"] == 2
    held.studyd.tell("s", 2, offer["lease"], 2)
    held.let_go(1)
    assert held.worker.wait() == 0


def test_a_study_deleted_under_a_trial_that_waits(work):
    """Its trials are nobody's any more, also the one that waited for a slot: the study made anew under that name has its own."""
    held = work("--exit-when-finished", "--ask-ahead-below-s", "600")
    held.wait_for(1)
    wait_until("the ask ahead", lambda: held.n_running() == 2)
    held.studyd.http.delete("/v1/studies/s?force=true")
    held.studyd.create(spec(max_trials=4))
    held.let_go(1, 2, 3)
    assert held.worker.wait() == 0
    assert [(trial["state"], trial["value"], trial["attempt"]) for trial in held.studyd.trials("s")] == \
        [("complete", number, 1) for number in range(4)]
    assert held.worker.log().count("the trial is not ours any more") == 2


def test_an_unusual_silence(work):
    """A trial that says nothing for much longer than those before may hang: the log says so, once, and how to end such trials."""
    held = work("--exit-when-finished", "--silence-warning-s", "0.3", "--ask-ahead-below-s", "0")
    line = held.worker.wait_for_log("a trial is silent for unusually long")
    assert "slot=0 study=s number=1 seconds=0.3" in line and "trial_timeout_s" in line
    held.let_go(1)
    held.wait_for(2)
    held.let_go(2)
    assert held.worker.wait() == 0
    assert held.worker.log().count("unusually long slot=0 study=s number=1") == 1


def test_any_slot_takes_it(work):
    """What was asked ahead is run in its order, by whichever slot is free first, not by the one it was asked for."""
    held = work("--exit-when-finished", "--slots", "2", "--ask-ahead-below-s", "600", max_trials=6)
    held.let_go(1)
    for number in (2, 3):
        held.wait_for(number)
    wait_until("the asks ahead", lambda: held.n_running() == 4)
    held.let_go(3)
    held.wait_for(4)
    assert not (held.directory / "runs-5").exists()
    held.let_go(2, 4, 5)
    assert held.worker.wait() == 0
    assert held.studyd.show("s")["counts"]["complete"] == 6


def test_a_stop_hands_both_back(work):
    """The trial that runs and the one that waits for a slot are free at once."""
    held = work("--ask-ahead-below-s", "600", stopped=143)
    held.wait_for(1)
    wait_until("the ask ahead", lambda: held.n_running() == 2)
    held.worker.process.send_signal(signal.SIGTERM)
    assert held.worker.wait() == 143
    assert [trial["state"] for trial in held.studyd.trials("s")] == ["complete", "waiting", "waiting"]
    assert held.worker.log().count('reason="the worker was stopped"') == 2


def test_pausing_slots_keep_nothing(start_studyd, sqlite, directory, start_worker):
    """A runner that does not start makes its slot pause: what was asked ahead goes back instead of waiting for it."""
    studyd = start_studyd(sqlite)
    studyd.create(spec(max_trials=4))
    start = f"""
        os.chdir({str(directory)!r})
        if os.path.exists("broken") and not os.path.exists("calm"):
            while not os.path.exists("die"):
                time.sleep(0.005)
            sys.exit(1)
        say(op="ready", protocol=1)
        """
    body = """
        if trial["number"] == 2 and not os.path.exists("calm"):
            open("broken", "w").close()
            sys.exit(0)
        say(op="done", values=[trial["number"]])
        """
    worker = start_worker(studyd, "--runner", write_runner(directory, body, start=start), "--study", "s", "--gpus", "none",
                          "--exit-when-finished", "--ask-ahead-below-s", "600")
    wait_until("the ask ahead", lambda: studyd.show("s")["counts"]["running"] == 2)
    (directory / "die").touch()
    worker.wait_for_log('number=3 attempt=1 reason="no slot of the worker is free soon"')
    (directory / "calm").touch()
    assert worker.wait() == 0
    assert studyd.show("s")["counts"]["complete"] == 4
