# SPDX-License-Identifier: MIT
"""A bad network between HTTP clients and studyd: it loses requests and answers, holds them up, and delivers them twice."""

import random
import select
import socket
import threading
import time

PATIENCE_S = 75
# What may become of a request, and how often. Twice means at the same time; later, once more when the client has gone on.
FATES = {"passes": 80, "lost": 4, "answer lost": 4, "late": 4, "twice": 4, "later": 4}
LATER_S = 1.5
CREATE = b"POST /v1/studies HTTP"


def read_message(stream):
    """A request or an answer as it came, or None at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    size = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
    return head + stream.read(size)


class BadNetwork:
    """Listens at an address of its own for what is meant for `target` (host, port)."""

    def __init__(self, target, seed):
        self.target = target
        self.random = random.Random(seed)
        self.fates = FATES
        self.n_faults = 0
        self.is_cut = False  # nothing gets through at all
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def close(self):
        self.fates = {"passes": 1}
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def connect(self):
        return socket.create_connection(self.target, timeout=PATIENCE_S)

    def choose(self, request):
        """Changes without a key of their own come twice nowhere: HTTP's clients repeat them before they go on, not later."""
        fate = self.random.choices(list(self.fates), list(self.fates.values()))[0]
        has_key = request.startswith((b"POST", b"GET")) and not request.startswith(CREATE)
        return "passes" if fate in ("twice", "later") and not has_key else fate

    def serve(self, client):
        with client, client.makefile("rb") as requests:
            server = None
            try:
                while (request := read_message(requests)) is not None:
                    if server is None or select.select([server], [], [], 0)[0]:
                        server = self.connect()
                        answers = server.makefile("rb")
                    answer = self.exchange(request, server, answers)
                    if answer is None:
                        return
                    client.sendall(answer)
            except OSError:
                pass  # one of the two has gone
            finally:
                if server:
                    server.close()

    def exchange(self, request, server, answers):
        """The answer, or None where the client gets none."""
        fate = self.choose(request)
        self.n_faults += fate != "passes"
        if fate == "lost" or self.is_cut:
            return None
        if fate == "late":
            time.sleep(self.random.random())
        if fate in ("twice", "later"):
            threading.Thread(target=self.repeat, args=(request, LATER_S * (fate == "later")), daemon=True).start()
        server.sendall(request)
        answer = read_message(answers)
        return None if fate == "answer lost" or self.is_cut else answer

    def repeat(self, request, pause_s):
        time.sleep(pause_s)
        try:
            with self.connect() as server, server.makefile("rb") as answers:
                server.sendall(request)
                read_message(answers)
        except OSError:
            pass  # studyd is dead just now
