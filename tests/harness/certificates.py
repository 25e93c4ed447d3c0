# SPDX-License-Identifier: MIT
"""Certificates of one's own authority, made by openssl."""

import ssl
import subprocess


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, directory, name="authority"):
        self.directory = directory
        self.name = name
        self.file = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self.n_issued = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.file)

    def issue(self, name, host="IP:127.0.0.1", usage="serverAuth", days=30):
        """A certificate and its key: their files. With `days` below 0 it has ended."""
        self.n_issued += 1
        cert, key, request, extensions = (self.directory / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"subjectAltName={host}\nextendedKeyUsage={usage}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-set_serial", self.n_issued, "-days", days,
                "-extfile", extensions, "-out", cert)
        return cert, key

    def context(self, client=None):
        """What a client trusts, and shows: a pair of issue()."""
        context = ssl.create_default_context(cafile=self.file)
        if client:
            context.load_cert_chain(*client)
        return context
