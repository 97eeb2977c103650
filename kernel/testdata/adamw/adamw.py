"""Writes adamw.json: five steps of torch.optim.AdamW on small tensors, for TestAdamWGolden.

Run: python adamw.py > adamw.json   (PyTorch; any recent version)
"""
import json
import torch

CASES = [
    ("float32 defaults", torch.float32, dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01), 1.0),
    ("float32 language model", torch.float32, dict(lr=3e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1), 0.37),
    ("float64 large eps", torch.float64, dict(lr=1e-2, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.0), 1.0),
]
STEPS, N = 5, 19


def main():
    torch.manual_seed(1)
    out = {"torch": torch.__version__.split("+")[0], "cases": []}
    for name, dtype, settings, grad_scale in CASES:
        w = torch.randn(N, dtype=dtype)
        case = {
            "name": name, "lr": settings["lr"], "beta1": settings["betas"][0], "beta2": settings["betas"][1],
            "eps": settings["eps"], "weight_decay": settings["weight_decay"], "grad_scale": grad_scale,
            "float64": dtype == torch.float64, "w": w.tolist(), "grads": [], "ws": [],
        }
        p = torch.nn.Parameter(w.clone())
        optimizer = torch.optim.AdamW([p], foreach=False, **settings)
        for step in range(STEPS):
            g = torch.randn(N, dtype=dtype) * 10.0 ** (step - 3)
            g[step] = 0
            p.grad = g * grad_scale
            optimizer.step()
            case["grads"].append(g.tolist())
            case["ws"].append(p.detach().tolist())
        state = optimizer.state[p]
        case["m"], case["v"] = state["exp_avg"].tolist(), state["exp_avg_sq"].tolist()
        out["cases"].append(case)
    print(json.dumps(out, indent=None, separators=(",", ":")))


main()
