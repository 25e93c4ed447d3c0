# SPDX-License-Identifier: MIT
"""A small HTTP client for JSON: one connection kept alive per thread, errors as exceptions."""

import http.client
import json
import threading
import urllib.parse


class Refused(Exception):
    """The server answered with a problem document."""

    def __init__(self, status, document, headers):
        super().__init__(f"{status} {json.dumps(document)}")
        self.status = status
        self.document = document
        self.headers = headers

    @property
    def type(self):
        """The document's type without its prefix: "not-found"."""
        return self.document["type"].removeprefix("urn:studyd:")


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


def path(*segments):
    """"/v1/" and the segments, percent-encoded: path("studies", name, "trials", 3)."""
    return "/v1/" + "/".join(urllib.parse.quote(str(segment), safe="") for segment in segments)


class Http:
    def __init__(self, url, token=None, timeout_s=70.0, tls=None):
        """`tls`: an ssl.SSLContext, for https."""
        self.url = url
        self.address = urllib.parse.urlsplit(url).netloc
        self.token = token
        self.timeout_s = timeout_s
        self.tls = tls
        self.local = threading.local()

    def close(self):
        """Closes this thread's connection."""
        connection = getattr(self.local, "connection", None)
        if connection:
            connection.close()
        self.local.connection = None

    def connect(self):
        if self.url.startswith("https:"):
            return http.client.HTTPSConnection(self.address, timeout=self.timeout_s, context=self.tls)
        return http.client.HTTPConnection(self.address, timeout=self.timeout_s)

    def request(self, method, target, body=None, headers=None):
        """One exchange, whatever its status. `body` is JSON, or bytes as they are."""
        all_headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        if getattr(self.local, "connection", None) is None:
            self.local.connection = self.connect()
        try:
            self.local.connection.request(method, target, body, all_headers)
            answer = self.local.connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def call(self, method, target, body=None):
        """The answer's JSON; raises Refused for 400 and above."""
        response = self.request(method, target, body)
        if response.status >= 400:
            raise Refused(response.status, response.json(), response.headers)
        return response.json() if response.body else None

    def get(self, target):
        return self.call("GET", target)

    def post(self, target, body):
        return self.call("POST", target, body)

    def patch(self, target, body):
        return self.call("PATCH", target, body)

    def delete(self, target):
        return self.call("DELETE", target)
