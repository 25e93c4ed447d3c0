# SPDX-License-Identifier: MIT
"""studyd is stopped for longer than a lease and goes on: nobody who could not be heard has lost his trial."""

import concurrent.futures
import signal
import time

from harness.child import wait_until

SPEC = {
    "name": "still",
    "directions": ["minimize"],
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "sampler": {"type": "random", "seed": 1},
    "max_trials": 2,
    "lease_s": 4,
    "retries": 0,
}
STOPPED_S = 5  # longer than the lease, and than MariaDB keeps a silent session


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_stopped_for_longer_than_a_lease(studyd):
    """An ask that came meanwhile gets nobody's trial, and who holds one reports, and tells, as if nothing had been."""
    studyd.create(SPEC)
    trials = [studyd.ask_one("still", worker=f"w{i}") for i in range(2)]
    studyd.process.send_signal(signal.SIGSTOP)
    wait_until("studyd to stand still", lambda: is_stopped(studyd.process))
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(studyd.ask, "still", worker="other", wait_s=1)
        wait_until("the leases to be over", lambda: time.monotonic() > begin + STOPPED_S)
        studyd.process.send_signal(signal.SIGCONT)
        assert other.result() == {"state": "waiting", "trials": []}
    studyd.wait_for_log("stood still")
    for trial in trials:
        studyd.heartbeat("still", trial["number"], trial["lease"])

    def tell_all():
        """The database may be away for a moment: its server ended the session."""
        for trial in trials:
            answer = studyd.http.request("POST", f"/v1/studies/still/trials/{trial['number']}/tell",
                                         {"lease": trial["lease"], "value": 0.5})
            assert answer.status in (200, 503), answer.text()
            if answer.status == 503:
                return False
        return True

    wait_until("both tells to be stored", tell_all)
    assert [trial["attempt"] for trial in studyd.trials("still")] == [1, 1]
    wait_until("the study's end", lambda: studyd.show("still")["state"] == "finished")
