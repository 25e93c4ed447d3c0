# SPDX-License-Identifier: MIT
"""study-worker against a coordinator that loses answers, changes its mind or prunes: what the real one does rarely."""

import http.server
import json
import re
import signal
import threading
import time

import pytest

from harness.child import wait_until
from harness.runners import READY, spec, write_runner

DROP = "drop"  # the answer is lost: the connection is closed without one


def unique(pairs):
    """An object without duplicate keys, as studyd demands."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"duplicate keys: {pairs}")
    return dict(pairs)


class Coordinator:
    """Hands out numbered trials of one study; `rules` may answer a request before the ordinary answer is made."""

    def __init__(self, n_trials):
        self.n_trials = n_trials
        self.lock = threading.Lock()
        self.requests = []  # (verb, number or None, body)
        self.by_request_id = {}
        self.n_given = 0
        self.told = {}
        self.rules = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                for rule in outer.rules:
                    rule("show", None, None, 0)
                self.answer(200, {"spec": spec()})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])), object_pairs_hook=unique)
                answer = outer.handle(self.path, body)
                if answer == DROP:
                    self.close_connection = True
                else:
                    self.answer(*answer)

            def answer(self, status, document):
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, path, body):
        verb = path.rsplit("/", 1)[1]
        found = re.search(r"/trials/(\d+)/", path)
        number = int(found[1]) if found else None
        with self.lock:
            n_before = len(self.bodies(verb, number))
            self.requests.append((verb, number, body))
            rules = list(self.rules)
        for rule in rules:
            answer = rule(verb, number, body, n_before)
            if answer:
                return answer
        with self.lock:
            return getattr(self, verb)(number, body)

    def ask(self, _, body):
        if body["request_id"] not in self.by_request_id:
            count = min(body["count"], self.n_trials - self.n_given)
            self.by_request_id[body["request_id"]] = [self.trial(self.n_given + i) for i in range(count)]
            self.n_given += count
        trials = self.by_request_id[body["request_id"]]
        is_over = self.n_given == self.n_trials and not trials
        return 200, {"state": "finished" if is_over else "running", "trials": trials}

    @staticmethod
    def trial(number):
        return {"study": "s", "number": number, "params": {"x": 0.5}, "lease": f"{number:032x}", "lease_s": 0.6, "attempt": 1}

    def report(self, _, body):
        return 200, {"prune": False, "lease_s": 0.6, "state": "running"}

    def heartbeat(self, _, body):
        return 200, {"lease_s": 0.6, "state": "running"}

    def tell(self, number, body):
        self.told[number] = body
        return 200, {"number": number, "state": body["state"], "best": False}

    def bodies(self, verb, number=None):
        return [body for its_verb, its_number, body in self.requests if (its_verb, its_number) == (verb, number)]


@pytest.fixture
def coordinator():
    """coordinator(n_trials): one that serves."""
    started = []

    def start(n_trials):
        started.append(Coordinator(n_trials))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def run(coordinator, start_worker, directory):
    """run(body, rules, n_trials, *options): a worker until the trials are told; returns the coordinator and the worker."""
    def run(body, *rules, n_trials=1, options=(), finish=True, start=READY):
        server = coordinator(n_trials)
        server.rules += rules
        worker = start_worker(server, "--study", "s", "--runner", write_runner(directory, body, start=start),
                              "--exit-when-finished", "--gpus", "none", *options)
        if finish:
            assert worker.wait() == 0, worker.log()
        return server, worker
    return run


def problem(kind, status, detail="because"):
    return status, {"type": f"urn:studyd:{kind}", "title": "", "status": status, "detail": detail}


def test_lost_answers_are_asked_for_again(run):
    """Answers that get lost, and 503s: the same request comes again, an ask with its request_id, until it is answered."""
    def lose(verb, number, body, n_before):
        if n_before == 0 and verb in ("ask", "report", "tell"):
            return DROP
        if n_before == 1 and verb in ("ask", "tell"):
            return problem("store-away", 503)
        return None

    server, _ = run('say(op="report", step=1, value=2)\nsay(op="done", values=[3])', lose)
    asks = server.bodies("ask")
    assert asks[0] == asks[1] == asks[2] and asks[0]["request_id"] != asks[3]["request_id"]
    tells = server.bodies("tell", 0)
    assert len(tells) == 3 and tells[0] == tells[1] == tells[2]
    assert tells[0] == {"lease": f"{0:032x}", "state": "complete", "value": 3.0}
    assert server.n_given == 1


def test_prune_reaches_the_runner(run):
    """A report's answer says prune: the runner hears it, and its trial is told as pruned."""
    def prune(verb, number, body, n_before):
        return (200, {"prune": True, "lease_s": 60, "state": "running"}) if verb == "report" and n_before == 0 else None

    server, worker = run("""
        say(op="report", step=1, value=0.5)
        assert hear() == {"op": "prune"}
        say(op="pruned", attrs={"at": 1})
        """, prune)
    assert server.told[0] == {"lease": f"{0:032x}", "state": "pruned", "user_attrs": {"at": 1}}
    assert "trial pruned slot=0 study=s number=0" in worker.log()


def test_reports_are_gathered_while_one_is_under_way(run, directory):
    """One report at a time: what comes meanwhile goes together with the next, and the tell goes last."""
    done = directory / "done"

    def hold(verb, number, body, n_before):
        if verb == "report" and n_before == 0:
            wait_until("the runner's last line", done.exists)

    server, _ = run(f"""
        for step in [0, 1, 2, 2, 5, 4, 5, 4]:
            say(op="report", step=step, value=step)
        say(op="done", values=[1])
        open({str(done)!r}, "w").close()
        """, hold)
    points = [each.get("intermediate_values") or {str(each["step"]): each["value"]} for each in server.bodies("report", 0)]
    assert points == [{"0": 0}, {"1": 1, "2": 2, "5": 5, "4": 4}]
    assert [verb for verb, number, _ in server.requests if number == 0 and verb != "heartbeat"] == ["report", "report", "tell"]


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("verb", ["report", "heartbeat"])
def test_a_trial_that_is_not_ours_any_more(run, verb, status):
    """Handed on, or gone with its study, says the answer to a report or a heartbeat: the trial is stopped and not told, its
    runner killed, the next trial is run."""
    def supersede(its_verb, number, body, n_before):
        return problem("lease-superseded", status, "somebody else has it") if (its_verb, number) == (verb, 0) else None

    server, worker = run("""
        if trial["number"] == 0:
            say(op="report", step=1, value=1)
            time.sleep(60)
        say(op="done", values=[os.getpid()])
        """, supersede, n_trials=2)
    assert list(server.told) == [1]
    assert 'the trial is not ours any more slot=0 study=s number=0' in worker.log()
    assert 'reason="somebody else has it"' in worker.log()


def test_a_trial_that_is_lost_while_its_study_is_fetched(run):
    """The trial is dropped with the request for its study, and the next one is asked for."""
    lost = threading.Event()

    def hold(verb, number, body, n_before):
        if verb == "heartbeat" and number == 0:
            return problem("lease-superseded", 409, "somebody else has it")
        if verb == "ask" and n_before == 1:
            lost.set()
        if verb == "show":
            assert lost.wait(20)
        return None

    server, worker = run('say(op="done", values=[1])', hold, n_trials=2)
    assert list(server.told) == [1]
    assert 'the trial is not ours any more study=s number=0 attempt=1 reason="somebody else has it"' in worker.log()


def test_a_trial_that_is_lost_while_its_runner_starts(run, directory):
    """The runner that starts is kept for the next trial."""
    next_one = directory / "next"

    def supersede(verb, number, body, n_before):
        if verb == "ask" and n_before == 1:
            next_one.touch()
        return problem("lease-superseded", 409, "somebody else has it") if (verb, number) == ("heartbeat", 0) else None

    start = f"""
        open({str(directory)!r} + "/started-%d" % os.getpid(), "w").close()
        while not os.path.exists({str(next_one)!r}):
            time.sleep(0.01)
        say(op="ready", protocol=1)
        """
    server, worker = run('say(op="done", values=[1])', supersede, n_trials=2, start=start)
    assert list(server.told) == [1]
    assert "not ours any more slot=0 study=s number=0" in worker.log()
    assert len(list(directory.glob("started-*"))) == 1


def test_a_trial_that_is_lost_while_it_waits(run, directory):
    """One that was asked ahead keeps its lease while it waits for a slot; is it lost all the same, it is not run."""
    lost = directory / "lost"

    def supersede(verb, number, body, n_before):
        if (verb, number) == ("heartbeat", 2) and n_before == 3:
            return problem("lease-superseded", 409, "somebody else has it")
        if verb == "ask" and n_before == 3:
            lost.touch()
        return None

    server, worker = run(f"""
        while trial["number"] == 1 and not os.path.exists({str(lost)!r}):
            time.sleep(0.01)
        say(op="done", values=[1])
        """, supersede, n_trials=4, options=["--ask-ahead-below-s", "600"])
    assert sorted(server.told) == [0, 1, 3]
    assert "the trial is not ours any more study=s number=2" in worker.log()


@pytest.mark.parametrize("status", [404, 409])
def test_a_tell_that_comes_too_late(run, status):
    """A result that nobody wants any more is dropped with a line in the log."""
    def late(verb, number, body, n_before):
        return problem("lease-superseded", status, "too late") if verb == "tell" and number == 0 else None

    server, worker = run('say(op="done", values=[1])', late, n_trials=2)
    assert list(server.told) == [1]
    assert 'reason="too late"' in worker.log()


def test_a_quiet_trial_keeps_its_lease(run):
    """Heartbeats come at a third of the lease's time while a trial runs without reports."""
    server, worker = run('time.sleep(1.5)\nsay(op="done", values=[1])')
    seconds = float(re.search(r"trial complete .* seconds=(\S+)", worker.log())[1])
    assert seconds / 0.4 <= len(server.bodies("heartbeat", 0)) <= seconds / 0.2 + 1


@pytest.mark.parametrize("verb", ["heartbeat", "report"])
def test_a_swallowed_request_does_not_cost_the_lease(run, directory, verb):
    """What is never answered is sent again after a sixth of the lease's time, long before an ordinary request's patience ends."""
    again = directory / "again"

    def swallow(its_verb, number, body, n_before):
        if its_verb != verb:
            return None
        if n_before > 0:
            again.touch()
        wait_until("the same again", again.exists)
        return None

    run(f"""
        say(op="report", step=1, value=1)
        while not os.path.exists({str(again)!r}):
            time.sleep(0.01)
        say(op="done", values=[1])
        """, swallow)


def test_a_refused_tell_comes_again_soon(run):
    """However often the database is away, no pause between two tells is longer than a sixth of the lease."""
    def refuse(verb, number, body, n_before):
        return problem("store-away", 503) if verb == "tell" and n_before < 20 else None

    server, worker = run('say(op="done", values=[1])', refuse, finish=False)
    assert worker.wait(30) == 0 # 20 pauses that double up to 10 s would take 80 s
    assert len(server.bodies("tell", 0)) == 21
    assert worker.log().count("the coordinator cannot do it now") == 1


def test_a_result_to_be_told_is_no_idleness(run):
    """max_idle_s does not end a worker whose last result is not told yet."""
    told = threading.Event()

    def refuse(verb, number, body, n_before):
        if verb == "ask" and n_before == 1:
            told.wait(20)
        if verb == "tell" and n_before < 20:
            return problem("store-away", 503)
        if verb == "tell":
            told.set()
        return None

    server, worker = run('say(op="done", values=[1])', refuse, options=["--max-idle-s", "0.1"])
    assert server.told[0]["value"] == 1
    assert "no trial for max_idle_s" not in worker.log()[:worker.log().index("trial complete")]


def test_refused_heartbeats(run):
    """A token that is not valid any more, say: the log says so while the trial runs."""
    def refuse(verb, number, body, n_before):
        return problem("unauthorized", 401, "the token is not known here") if verb == "heartbeat" else None

    _, worker = run('time.sleep(0.5)\nsay(op="done", values=[1])', refuse)
    assert 'a heartbeat was refused trial=/v1/studies/s/trials/0 reason="the token is not known here"' in worker.log()


def test_the_next_ask_comes_after_the_tell(run):
    """A slot asks again once its result is known to studyd, so that the next trial is sampled with it."""
    def lose(verb, number, body, n_before):
        return DROP if (verb, number) == ("tell", 0) and n_before == 0 else None

    server, _ = run('say(op="done", values=[1])', lose, n_trials=2, options=["--ask-ahead-below-s", "0"])
    assert [verb for verb, _, _ in server.requests if verb != "heartbeat"][:4] == ["ask", "tell", "tell", "ask"]


def test_long_trials_are_not_asked_for_ahead(run):
    """A slot whose last trial was not short, or that had none yet, asks when it is free."""
    server, _ = run('time.sleep(0.6)\nsay(op="done", values=[1])', n_trials=2, options=["--ask-ahead-below-s", "0.3"])
    assert [verb for verb, _, _ in server.requests if verb != "heartbeat"][:4] == ["ask", "tell", "ask", "tell"]


def test_the_next_ask_does_not_wait_for_the_tell(run):
    """Where trials are short, that would be too slow."""
    again = threading.Event()

    def hold(verb, number, body, n_before):
        if verb == "ask" and n_before == 1:
            again.set()
        if (verb, number) == ("tell", 0):
            assert again.wait(20)

    server, _ = run('say(op="done", values=[1])', hold, n_trials=2)
    assert sorted(server.told) == [0, 1]


def test_an_answer_that_comes_while_stopping(run):
    """The trials of an ask that was on its way when the worker was stopped are handed back."""
    reached = threading.Event()
    go_on = threading.Event()

    def hold(verb, number, body, n_before):
        if verb == "ask" and n_before == 0:
            reached.set()
            go_on.wait(20)
        return None

    server, worker = run("time.sleep(60)", hold, finish=False)
    assert reached.wait(20)
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_log("stopping")
    go_on.set()
    assert worker.wait() == 143
    assert server.told[0]["state"] == "waiting"


def test_a_hand_back_does_not_wait_for_reports(run):
    """What a trial that is handed back still had to report does not hold the worker up."""
    reached, told = threading.Event(), threading.Event()

    def hold(verb, number, body, n_before):
        if verb == "report":
            reached.set()
            told.wait(20)
        if verb == "tell":
            told.set()

    server, worker = run('say(op="report", step=1, value=1)\ntime.sleep(60)', hold, finish=False)
    assert reached.wait(20)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 143
    assert server.told[0]["state"] == "waiting"


def test_refused_tokens_end_the_worker(run):
    """What asking again would not help ends the worker, with studyd's words."""
    def refuse(verb, number, body, n_before):
        return problem("unauthorized", 401, "the token is not known here")

    server, worker = run("pass", refuse, finish=False)
    assert worker.wait() == 1
    assert "the token is not known here" in worker.log()


def test_a_study_that_is_over_is_asked_about_now_and_then(coordinator, start_worker, directory):
    """A worker that stays looks every other second whether a finished study goes on."""
    server, asked = coordinator(0), []
    server.rules.append(lambda verb, *_: asked.append(time.monotonic()))
    start_worker(server, "--study", "s", "--runner", write_runner(directory, "pass"))
    wait_until("two asks", lambda: len(asked) > 1)
    assert asked[1] - asked[0] > 1.9


def test_the_next_coordinator(coordinator, start_worker, directory):
    """A list of coordinators: where the first does not answer the next is asked."""
    gone, server = coordinator(0), coordinator(2)
    gone.stop()
    worker = start_worker(gone, "--coordinator", server.url, "--runner", write_runner(directory, 'say(op="done", values=[1])'),
                          "--study", "s", "--exit-when-finished")
    assert worker.wait() == 0
    assert sorted(server.told) == [0, 1]
    assert "no answer from the coordinator" in worker.log()
