"""Writes svd.npz: matrices and their singular values by LAPACK (numpy.linalg.svd), for svd_golden_test.go.

    python make_golden.py

The data is drawn from a seed; running it again gives the same bytes.
"""

import os

import numpy as np

rng = np.random.default_rng(7)


def spectrum(rows, cols, values):
    r = min(rows, cols)
    u = np.linalg.qr(rng.standard_normal((rows, r)))[0]
    v = np.linalg.qr(rng.standard_normal((cols, r)))[0]
    return (u * values) @ v.T


cases = {
    "square": rng.standard_normal((48, 48)),
    "wide": rng.standard_normal((24, 60)),
    "tall": rng.standard_normal((60, 24)),
    "row": rng.standard_normal((1, 37)),
    "column": rng.standard_normal((37, 1)),
    "repeated": spectrum(40, 50, np.repeat([4.0, 2.0, 2.0, 1.0], 10)),
    "ill": spectrum(40, 40, 10.0 ** -np.arange(0, 20, 0.5)),
    "deficient": rng.standard_normal((36, 5)) @ rng.standard_normal((5, 44)),
    "hilbert": 1.0 / (np.arange(30)[:, None] + np.arange(30) + 1),
    "huge": rng.standard_normal((20, 30)) * 1e290,
    "tiny": rng.standard_normal((30, 20)) * 1e-290,
    "graded": rng.standard_normal((30, 30)) * 10.0 ** -np.arange(0, 30)[:, None],
}
arrays = {}
for name, a in cases.items():
    arrays[name + ".a"] = a
    arrays[name + ".s"] = np.linalg.svd(a, compute_uv=False)
# Large ones are made again by the test from the formula.
for rows, cols in ((150, 400), (300, 300)):
    i, j = np.arange(rows)[:, None], np.arange(cols)
    arrays[f"sine_{rows}_{cols}.s"] = np.linalg.svd(np.sin(0.37 * i * i + 1.7 * i * j + 0.11 * j), compute_uv=False)
np.savez(os.path.join(os.path.dirname(os.path.abspath(__file__)), "svd.npz"), **arrays)
