# SPDX-License-Identifier: MIT
"""Writes real.csv: known answers for daemon/sampler/real.h and truncated_normal.h, by mpmath with 50 digits.

    python3 tests/golden/make_real.py       (needs mpmath 1.4)

A line is a function, its arguments as hexadecimal doubles, and the answer in decimal.
"""

import pathlib
import random

from mpmath import erfc, exp, log, mp, mpf, nstr, pi, sqrt

mp.dps = 90
N_CASES = 60
uniform = random.Random(1).uniform


def upper_mass(z):
    return erfc(z / sqrt(2)) / 2


def log_mass(a, b):
    if a + b < 0:
        a, b = -b, -a
    return log(upper_mass(a) - upper_mass(b) if a >= 0 else 1 - upper_mass(-a) - upper_mass(b))


def upper_quantile(log_p):
    """Newton on the logarithm of the mass."""
    z = sqrt(-2 * log_p) if log_p < -2 else mpf(0)
    step = mpf(1)
    while abs(step) > mpf(10) ** -40 * (abs(z) + mpf(10) ** -10):
        step = (log(upper_mass(z)) - log_p) / (-exp(-z * z / 2) / sqrt(2 * pi) / upper_mass(z))
        z -= step
    return z


def quantile(p):
    return -upper_quantile(log(p)) if p < 0.5 else upper_quantile(log(1 - p))


def truncated_quantile(q, a, b):
    if a > 0:
        return upper_quantile(log(upper_mass(a) - q * (upper_mass(a) - upper_mass(b))))
    if b < 0:
        return -truncated_quantile(1 - q, -b, -a)
    return quantile(upper_mass(-a) + q * (1 - upper_mass(-a) - upper_mass(b)))


def sign():
    return 1 if uniform(0, 1) < 0.5 else -1


def cell(middle, width):
    return middle - width / 2, middle + width / 2


def bounds(largest):
    return sorted((uniform(-largest, largest), uniform(-largest, largest)))


FUNCTIONS = {
    "exp": (exp, [lambda: [uniform(-708, 709)], lambda: [uniform(-1, 1)], lambda: [10 ** uniform(-18, -2)]]),
    "log": (log, [lambda: [10 ** uniform(-320, 308)], lambda: [uniform(0.5, 2)], lambda: [1 + 10 ** uniform(-15, -1)]]),
    "log1p": (lambda x: log(1 + x), [lambda: [uniform(-0.999, 3)], lambda: [sign() * 10 ** uniform(-20, -1)]]),
    "erfc": (erfc, [lambda: [uniform(-6, 26)], lambda: [sign() * 10 ** uniform(-9, 0)]]),
    "log_mass": (log_mass, [
        lambda: cell(sign() * 10 ** uniform(-3, 2.5), 10 ** uniform(-9, 2)),
        lambda: cell(uniform(-1, 1), 10 ** uniform(-9, 0)),
        lambda: (-(10 ** uniform(-1, 2)), 10 ** uniform(-1, 2)),
        lambda: cell(sign() * uniform(30, 200), uniform(0, 60))]),
    "quantile": (quantile, [lambda: [uniform(0.001, 0.999)], lambda: [10 ** uniform(-300, -1)]]),
    "upper_quantile": (upper_quantile, [lambda: [-(10 ** uniform(0, 5))]]),
    "truncated_quantile": (truncated_quantile, [
        lambda: [uniform(0, 1), *bounds(100)], lambda: [uniform(0, 1), *bounds(3)],
        lambda: [uniform(0, 1), -(10 ** uniform(-2, 1.5)), 10 ** uniform(-2, 1.5)]]),
}

lines = []
for name, (function, draws) in FUNCTIONS.items():
    for draw in draws:
        for _ in range(N_CASES):
            arguments = [float(x) for x in draw()]
            answer = function(*map(mpf, arguments))
            lines.append(",".join([name, *(x.hex() for x in arguments), nstr(answer, 25, min_fixed=0, max_fixed=0)]))
pathlib.Path(__file__).with_name("real.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
