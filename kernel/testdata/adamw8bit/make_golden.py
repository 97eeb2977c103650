"""Writes golden.npz: five steps of 8-bit AdamW, written from the published equations in numpy.

Dettmers, Lewis, Shleifer and Zettlemoyer, "8-bit Optimizers via Block-wise Quantization" (ICLR 2022), with the
details of the bitsandbytes library: weight decay after the step, the sign of the first moment kept, elements with a
gradient that is no number skipped. If torch and bitsandbytes can be imported, the same steps are also taken by
bitsandbytes on the CPU and the largest differences are printed.
"""

import numpy as np

N, BLOCK, STEPS = 4608, 256, 5
LR, BETA1, BETA2, EPS, DECAY = 1e-2, 0.9, 0.999, 1e-8, 0.1
F = np.float32


def codebook(signed):
    codes = [0.0, 1.0]
    for i in range(7):
        edges = np.linspace(0.1, 1.0, 2 ** (i if signed else i + 1) + 1)
        middles = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (i - 6)
        codes += list(middles)
        if signed:
            codes += list(-middles)
    assert len(codes) == 256
    return np.sort(np.array(codes)).astype(F)


SIGNED, UNSIGNED = codebook(True), codebook(False)


def nearest(book, x):
    return np.abs(book[None, :].astype(np.float64) - x[:, None].astype(np.float64)).argmin(axis=1)


def step(t, w, g, q1, q2, max1, max2):
    """One step over all blocks; returns the new w and changes the states in place."""
    out = w.copy()
    c1, c2 = F(1 - BETA1**t), F(np.sqrt(1 - BETA2**t))
    for b in range((len(w) + BLOCK - 1) // BLOCK):
        at = slice(b * BLOCK, (b + 1) * BLOCK)
        ok = np.isfinite(g[at])
        gb = np.where(ok, g[at], 0).astype(F)
        s1 = F(BETA1) * (SIGNED[q1[at]] * max1[b]) + F(1 - BETA1) * gb
        s2 = F(BETA2) * (UNSIGNED[q2[at]] * max2[b]) + F(1 - BETA2) * gb * gb
        s1, s2 = np.where(ok, s1, 0).astype(F), np.where(ok, s2, 0).astype(F)
        p = w[at] - F(LR) * (c2 / c1) * (s1 / (np.sqrt(s2) + c2 * F(EPS)))
        p = p * F(1 - LR * DECAY)
        out[at] = np.where(ok, p, w[at])
        max1[b], max2[b] = np.abs(s1).max(), s2.max()
        q1[at], q2[at] = 127, 0
        if max1[b] > 0:
            r = s1 / max1[b]
            q = nearest(SIGNED, r)
            flipped = np.signbit(SIGNED[q]) != np.signbit(r)
            q1[at] = q + np.where(flipped, np.where(r > 0, 1, -1), 0)
        if max2[b] > 0:
            q2[at] = nearest(UNSIGNED, s2 / max2[b])
    return out


def gradients(rng, t):
    g = (rng.standard_normal(N) * np.exp(rng.standard_normal(N)) * 1e-2).astype(F)
    g[256:512] = 0 if t < 3 else g[256:512]  # a block without gradient at first
    g[600::97] = 0
    return g


def main():
    rng = np.random.default_rng(7)
    w = rng.standard_normal(N).astype(F)
    q1, q2 = np.full(N, 127, np.uint8), np.zeros(N, np.uint8)
    max1, max2 = np.zeros(N // BLOCK, F), np.zeros(N // BLOCK, F)
    arrays = {"signed": SIGNED, "unsigned": UNSIGNED, "w0": w,
              "settings": np.array([BLOCK, LR, BETA1, BETA2, EPS, DECAY])}
    twin = Twin(w)
    for t in range(1, STEPS + 1):
        g = gradients(rng, t)
        twin.step(t, g)
        finite = w, q1.copy(), q2.copy(), max1.copy(), max2.copy()
        if t == STEPS:  # the last step has gradients that are no numbers
            after = step(t, finite[0], g, *finite[1:])
            twin.compare(t, after, *finite[1:])
            g[[5, 700, 701]] = np.nan, np.inf, -np.inf
        w = step(t, w, g, q1, q2, max1, max2)
        if t < STEPS:
            twin.compare(t, w, q1, q2, max1, max2)
        for name, a in [("g", g), ("w", w), ("mean", q1), ("square", q2), ("mean_max", max1), ("square_max", max2)]:
            arrays[f"{name}{t}"] = a.copy()
    np.savez("golden.npz", **arrays)


class Twin:
    """The same steps by bitsandbytes, if it is there."""

    def __init__(self, w):
        try:
            import bitsandbytes
            import torch
        except ImportError:
            self.p = None
            print("bitsandbytes: not installed, nothing compared")
            return
        self.torch = torch
        self.p = torch.nn.Parameter(torch.from_numpy(w.copy()))
        self.optimizer = bitsandbytes.optim.AdamW8bit([self.p], lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY)
        print("bitsandbytes", bitsandbytes.__version__, "torch", torch.__version__)

    def step(self, t, g):
        if self.p is not None:
            self.p.grad = self.torch.from_numpy(g.copy())
            self.optimizer.step()

    def compare(self, t, w, q1, q2, max1, max2):
        if self.p is None:
            return
        s = self.optimizer.state[self.p]
        v1 = SIGNED[q1] * np.repeat(max1, BLOCK)
        t1 = s["qmap1"].numpy()[s["state1"].numpy()] * np.repeat(s["absmax1"].numpy(), BLOCK)
        print(f"step {t}: weights differ by {np.abs(w - self.p.detach().numpy()).max():.1e},"
              f" codebooks by {np.abs(s['qmap1'].numpy() - SIGNED).max():.1e} and {np.abs(s['qmap2'].numpy() - UNSIGNED).max():.1e},"
              f" scales by {np.abs(s['absmax1'].numpy() / np.where(max1 > 0, max1, 1) - (max1 > 0)).max():.1e},"
              f" means by {np.abs(v1 - t1).max():.1e},"
              f" codes differ: {(s['state1'].numpy() != q1).sum()} of means, {(s['state2'].numpy() != q2).sum()} of squares")


if __name__ == "__main__":
    main()
