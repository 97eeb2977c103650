"""Writes cur.npz: a score matrix and what NumPy makes of it, for golden_test.go.

    python make_golden.py

The data is drawn from a seed; running it again gives the same bytes. Every value is computed in the plainest way: rows are left
out by solving anew, the oracle by pseudo-inverses.
"""

import os

import numpy as np

rng = np.random.default_rng(11)
m, n, k = 24, 60, 12
a = rng.standard_normal((m + 5, 8)) * 0.7 ** np.arange(8) @ rng.standard_normal((8, n))
a += 0.3 * rng.standard_normal(n) + 0.05 * rng.standard_normal((m + 5, n))
r, new = a[:m], a[m:]
index = rng.permutation(n)[:k]
lambdas = np.array([1e-3, 0.1, 1.0])
w = r[:, index]
out = {"r": r, "new": new, "index": index.astype(np.int64), "lambdas": lambdas}
out["pinv"] = new[:, index] @ np.linalg.pinv(w) @ r
out["pinv_cut"] = new[:, index] @ np.linalg.pinv(w, rcond=0.05) @ r
out["cond"] = np.array([np.linalg.cond(w)])


def ridge(w, r, x, absolute):
    return x @ np.linalg.solve(w.T @ w + absolute * np.eye(w.shape[1]), w.T @ r)


mean = r.mean(0)
wc, rc = w - mean[index], r - mean
for name, (ww, rr, xx, back) in {"plain": (w, r, new[:, index], 0), "centred": (wc, rc, new[:, index] - mean[index], mean)}.items():
    diagonal = np.mean(np.sum(ww * ww, 0))
    out["ridge_" + name] = np.stack([back + ridge(ww, rr, xx, l * diagonal) for l in lambdas])
    errors = []
    for l in lambdas:
        total = 0.0
        for q in range(m):
            rest = np.arange(m) != q
            if name == "plain":
                guess = ridge(w[rest], r[rest], w[q], l * diagonal)
            else:
                own = r[rest].mean(0)
                guess = own + ridge(w[rest] - own[index], r[rest] - own, w[q] - own[index], l * diagonal)
            total += np.sum((r[q] - guess) ** 2)
        errors.append(np.sqrt(total / (m * n)))
    out["loo_" + name] = np.array(errors)
rows = np.arange(0, m, 2)
c, rr = r[:, index], r[rows]
out["oracle"] = c @ np.linalg.pinv(c) @ r @ np.linalg.pinv(rr) @ rr
np.savez(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cur.npz"), **out)
