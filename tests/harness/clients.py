# SPDX-License-Identifier: MIT
"""Clients that do not behave: many at a time, and what studyd has spent on them."""

import contextlib
import http.client
import socket


@contextlib.contextmanager
def connections(studyd, count, *beginnings, receive_buffer=None):
    """So many connections, on which these texts were sent in turn."""
    host, port = studyd.http.address.split(":")
    opened = []
    try:
        for number in range(count):
            connection = socket.socket()
            opened.append(connection)
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(60)
            connection.connect((host, int(port)))
            connection.sendall(beginnings[number % len(beginnings)])
        yield opened
    finally:
        for connection in opened:
            connection.close()


def peak_mib(studyd):
    """The most memory that it has had so far."""
    return studyd.memory_mib("VmHWM")


def answer_of(connection):
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.headers, answer.read()
