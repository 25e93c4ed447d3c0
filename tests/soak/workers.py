# SPDX-License-Identifier: MIT
"""A campaign of real workers: two studyds on one database, two study-workers that know both, and everything dies or freezes."""

import contextlib
import os
import random
import signal

from harness.child import wait_until
from harness.runners import find_runners, spec, told_trials, write_runner
from harness.studyd import Worker
from soak.stage import Stage

RUNNER = """
    value = trial["params"]["x"] + trial["number"]
    say(op="report", step=1, value=value, number=trial["number"])
    time.sleep(0.02 + 0.03 * trial["params"]["x"])
    say(op="done", values=[value], number=trial["number"])
"""


class Workforce(Stage):
    def __init__(self, directory, store, seed):
        super().__init__(directory, store, n_studyds=2)
        self.random = random.Random(seed)
        first, second = (f"http://127.0.0.1:{port}" for port in self.ports)
        self.workers = [Worker(directory, first, "--coordinator", second, "--runner", write_runner(directory, RUNNER), "--slots", "3", "--gpus",
                               "none", "--exit-when-finished", "--name", name, name=name) for name in ("w0", "w1")]
        self.n_trials = 0

    def begin(self):
        self.begin_studyds()
        self.serving().create(spec("s", max_trials=10**6, lease_s=1, retries=1000))
        for worker in self.workers:
            worker.start()
        return self

    def stop(self):
        for worker in self.workers:
            if worker.is_running():
                worker.kill()
        for worker in self.workers:
            worker.check_log()
        super().stop()

    def counts(self):
        return {**super().counts(), "acknowledged": self.n_trials}

    # ---- faults ----

    def go_on(self):
        n_more = self.random.randrange(5, 30)
        before = self.wait_until_served().show("s")["counts"]["complete"]
        wait_until("more results", lambda: self.wait_until_served().show("s")["counts"]["complete"] >= before + n_more, 60)

    def kill_runner(self):
        pids = wait_until("a runner", lambda: find_runners("r.py", self.directory))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(pids), signal.SIGKILL)

    def kill_worker(self):
        worker = self.random.choice(self.workers)
        worker.kill()
        self.go_on()
        worker.start()

    def freeze_worker(self):
        """Past its leases: the other worker has its trials. What it then tells of them must be refused."""
        worker = self.random.choice(self.workers)
        worker.process.send_signal(signal.SIGSTOP)
        wait_until("its trials to be handed on", lambda: worker.name not in self.holders(), 60)
        worker.process.send_signal(signal.SIGCONT)

    def holders(self):
        return [trial["worker"] for trial in self.wait_until_served().trials("s") if trial["state"] == "running"]

    # ---- the end ----

    def violations(self):
        """Each trial once, with its own value, and told by the attempt that the workers' logs name."""
        end = self.wait_until_served()
        self.n_trials = sum(end.show("s")["counts"].values()) + 30
        end.http.patch("/v1/studies/s", {"max_trials": self.n_trials})
        codes = [worker.wait(60) for worker in self.workers]
        trials = self.wait_until_served().trials("s")
        told = told_trials("".join(worker.log() for worker in self.workers))
        found = [f"a worker ended with {code}" for code in codes if code != 0]
        if [trial["number"] for trial in trials] != list(range(self.n_trials)):
            found.append(f"{self.n_trials} trials are wanted, there are {[trial['number'] for trial in trials]}")
        for trial in trials:
            if trial["state"] != "complete" or trial["value"] != trial["params"]["x"] + trial["number"]:
                found.append(f"a trial is not what was computed: {trial}")
            results = told["s", trial["number"]]
            if len(results) > 1 or any(attempt != trial["attempt"] for attempt, _ in results):
                found.append(f"workers told {results} of {trial}")
        if len(told) < self.n_trials / 2:
            found.append(f"of {self.n_trials} trials the workers' logs have {len(told)}")
        return found
