"""Writes schedule.json: the learning rates of torch.optim.lr_scheduler for the cases of TestScheduleEqualsTorch."""
import json
import warnings

import torch
from torch.optim import lr_scheduler as lrs

warnings.filterwarnings("ignore")  # SequentialLR warns about a call of its own
CASES = [
    # kind, warm-up, steps, decay steps, peak, min ratio
    ("constant", 4, 20, 0, 3e-3, 0.0),
    ("linear", 4, 20, 0, 3e-3, 0.1),
    ("linear", 0, 20, 0, 1e-2, 0.0),
    ("cosine", 5, 24, 0, 3e-3, 0.1),
    ("cosine", 1, 24, 0, 6e-4, 0.0),
    ("wsd", 4, 24, 8, 1e-3, 0.05),
]


def rates(kind, warmup, steps, decay, peak, ratio):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    parts, milestones, done = [], [], 0

    def add(schedule, length):
        nonlocal done
        if parts:
            milestones.append(done)
        parts.append(schedule)
        done += length

    if warmup == 1:
        add(lrs.ConstantLR(opt, factor=1.0, total_iters=0), 1)
    elif warmup > 1:
        add(lrs.LinearLR(opt, start_factor=1 / warmup, end_factor=1.0, total_iters=warmup - 1), warmup)
    rest = steps - warmup
    if kind == "constant" or kind == "wsd":
        add(lrs.ConstantLR(opt, factor=1.0, total_iters=0), rest - decay)
    if kind == "linear":
        add(lrs.LinearLR(opt, start_factor=1.0, end_factor=ratio, total_iters=rest), rest)
    if kind == "cosine":
        add(lrs.CosineAnnealingLR(opt, T_max=rest, eta_min=ratio * peak), rest)
    if kind == "wsd":
        add(lrs.LinearLR(opt, start_factor=1.0, end_factor=ratio, total_iters=decay), decay)
    schedule = lrs.SequentialLR(opt, parts, milestones)
    out = []
    for _ in range(steps):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    return out


keys = ("kind", "warmup", "steps", "decay_steps", "peak", "min_ratio")
lines = [json.dumps(dict(zip(keys, case)) | {"rates": rates(*case)}) for case in CASES]
open("schedule.json", "w").write("[\n" + ",\n".join(lines) + "\n]\n")
