"""Writes gru.npz: outputs and gradients of torch.nn.GRU in float64, with packed sequences where lengths differ.

    python make_golden.py
"""

import os

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BATCH, TOKENS, INPUT, HIDDEN = 4, 7, 5, 6
LENGTHS = {"full": None, "padded": [3, 7, 1, 5]}

rng = np.random.default_rng(11)
out = {}


def put(key, x):
    out[key] = np.ascontiguousarray(x.detach().numpy())


for directions in ("one", "both"):
    for tag, lengths in LENGTHS.items():
        name = f"{directions}_{tag}"
        torch.manual_seed(3)
        net = nn.GRU(INPUT, HIDDEN, batch_first=True, bidirectional=directions == "both").double()
        for p in net.parameters():
            p.data = p.data.float().double()
        x = torch.tensor(rng.standard_normal((BATCH, TOKENS, INPUT))).float().double().requires_grad_()
        if lengths is None:
            y, _ = net(x)
        else:
            packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
            y, _ = pad_packed_sequence(net(packed)[0], batch_first=True, total_length=TOKENS)
        targets = torch.tensor(rng.integers(0, y.shape[-1], BATCH * TOKENS))  # of padding, too
        nn.functional.cross_entropy(y.flatten(0, 1), targets, reduction="sum").backward()
        out[f"{name}.targets"] = targets.numpy().astype(np.int32)
        for key, value in (("x", x), ("y", y), ("dx", x.grad)):
            put(f"{name}.{key}", value)
        for key, p in net.named_parameters():
            put(f"{name}.{key}", p)
            put(f"{name}.d{key}", p.grad)
        out[f"{name}.lengths"] = np.array(lengths or [TOKENS] * BATCH, np.int32)

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gru.npz")
np.savez_compressed(path, **out)
print(len(out), "arrays,", os.path.getsize(path), "bytes")
