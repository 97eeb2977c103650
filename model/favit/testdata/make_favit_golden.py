"""Writes favit.npz: a small FaViT by PyTorch, with all parameters, scores and gradients, in float64.

    python make_favit_golden.py

The network is that of bench/peer/favit.py, written from its equations.
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "bench", "peer"))
import favit

CONFIG = dict(widths=[16, 24], depths=[2, 1], heads=[1, 3], mlp_ratios=[2, 3], reductions=[2, 1], stem_kernel=3, stem_stride=2,
              window=3, pad="reflect", channels=2, classes=5)
SIZE, BATCH = 15, 3


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    out = {}
    for fusion in ("mean", "reference"):
        net = favit.FaViT(CONFIG | {"fusion": fusion})
        for name, p in net.named_parameters():  # values that matter: norms away from one, biases from zero
            p.data = ((1.0 if "norm" in name and name.endswith("weight") else 0.0) + 0.3 * torch.randn_like(p)).float()
        net.double()
        pixels = torch.randn(BATCH, SIZE, SIZE, 2).double()
        labels = torch.tensor([4, 0, 2])
        logits = net(pixels)
        F.cross_entropy(logits, labels, reduction="sum").backward()
        out[f"{fusion}/pixels"], out[f"{fusion}/logits"] = pixels.float().numpy(), logits.detach().numpy()
        for name, p in net.named_parameters():
            out[f"{fusion}/{name}"], out[f"{fusion}/d {name}"] = p.detach().float().numpy(), p.grad.float().numpy()
    path = os.path.join(here, "favit.npz")
    np.savez_compressed(path, **out)
    print(f"{len(out)} arrays, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
