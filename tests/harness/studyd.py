# SPDX-License-Identifier: MIT
"""studyd as a test sees it: a process, its address, and the API's calls by name."""

import os
import pathlib

from harness import child
from harness.http_json import Http, path

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STUDYD_BUILD", ROOT / "build")).resolve()
LISTENING = "studyd: listening on "


def sanitizer_env():
    """Sanitizers end a program at their first finding; study-xgboost's library and GnuTLS keep what they once allocated."""
    suppressions = ROOT / "tests" / "harness" / "lsan.supp"
    return dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
                LSAN_OPTIONS=f"suppressions={suppressions}:print_suppressions=0")


class Studyd(child.Daemon):
    def __init__(self, directory, store, *options):
        super().__init__("studyd",
                         [BUILD / "daemon" / "studyd", "--listen", "127.0.0.1:0", "--store", store.url, *options],
                         directory / "studyd.log", env=sanitizer_env())
        self.http = None

    def start(self, timeout_s=60.0):
        """Starts it and waits until it serves. A new address after each start."""
        super().start()
        line = self.wait_for_log(LISTENING, timeout_s)
        self.http = Http(line[line.index(LISTENING) + len(LISTENING):].split()[0])
        return self

    @property
    def url(self):
        return self.http.url

    def create(self, spec):
        return self.http.post(path("studies"), spec)

    def show(self, study):
        return self.http.get(path("studies", study))

    def ask(self, study, **body):
        """The whole answer; `body` as in the API: count, wait_s, worker, request_id."""
        return self.http.post(path("studies", study, "ask"), body)

    def ask_one(self, study, **body):
        """One trial that is there at once."""
        answer = self.ask(study, **body)
        assert len(answer["trials"]) == 1, answer
        return answer["trials"][0]

    def report(self, study, number, lease, step, value):
        return self.http.post(path("studies", study, "trials", number, "report"),
                              {"lease": lease, "step": step, "value": value})

    def heartbeat(self, study, number, lease):
        return self.http.post(path("studies", study, "trials", number, "heartbeat"), {"lease": lease})

    def tell(self, study, number, lease, value=None, **body):
        body["lease"] = lease
        if value is not None:
            body["value"] = value
        return self.http.post(path("studies", study, "trials", number, "tell"), body)

    def enqueue(self, study, params, **body):
        return self.http.post(path("studies", study, "enqueue"), {"params": params, **body})

    def trial(self, study, number):
        return self.http.get(path("studies", study, "trials", number))

    def trials(self, study):
        """All of them by number, page by page."""
        found, since = {}, None
        while True:
            answer = self.http.get(path("studies", study, "trials") + (f"?since={since}" if since else ""))
            if not answer["trials"]:
                return [found[number] for number in sorted(found)]
            for trial in answer["trials"]:
                found[trial["number"]] = trial
            since = answer["next"]

    def best(self, study):
        return self.http.get(path("studies", study, "best"))["trials"]


class Worker(child.Daemon):
    """A study-worker for one studyd; `options` as on its command line."""

    def __init__(self, directory, url, *options, name="study-worker"):
        super().__init__(name, [BUILD / "worker" / "study-worker", "--coordinator", url, *options],
                         directory / f"{name}.log", env=sanitizer_env())
