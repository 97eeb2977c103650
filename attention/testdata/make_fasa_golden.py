"""Writes fasa.npz: factorization self-attention by PyTorch's operators and autograd, in float64.

    python make_fasa_golden.py

The layer is written from its equations; the README beside this file lists the cases.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(23)
out = {}


def normal(*shape, scale=0.5):
    return torch.tensor(scale * rng.standard_normal(shape)).float().double()


def image(x, h, w):
    """[B, H*W, C] as [B, C, H, W]."""
    return x.transpose(1, 2).unflatten(2, (h, w))


def split(c, r):
    unit = c // (8 if r == 1 else 16)
    return ([unit, 7 * unit], [1]) if r == 1 else ([2 * unit, 7 * unit, 7 * unit], [1, r])


def fasa(x, p, h, w, n, r, window, fusion, pad):
    b, _, c = x.shape
    widths, dilations = split(c, r)
    g = widths[0]
    q = F.linear(x, p["q.weight"], p["q.bias"])
    attend = lambda q, k, v: F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    x_g = F.conv2d(image(x[..., :g], h, w), p["sr.weight"], p["sr.bias"], stride=r).flatten(2).transpose(1, 2)
    x_g = F.layer_norm(x_g, (g,), p["norm.weight"], p["norm.bias"], 1e-5)
    k, v = F.linear(x_g, p["kv_g.weight"], p["kv_g.bias"]).split(g, -1)
    v = v + F.conv2d(image(v, h // r, w // r), p["local_conv_g.weight"], p["local_conv_g.bias"], padding=1, groups=g).flatten(2).transpose(1, 2)
    parts = [attend(q[:, None, :, :g], k[:, None], v[:, None])]

    q_l = q[..., g:].unflatten(2, (n, -1)).transpose(1, 2)                      # [B, n, N, (C_1+C_2)/n]
    kv = image(x[..., g:], h, w)
    kv = F.conv2d(kv, p["kv_l.depth_conv.weight"], p["kv_l.depth_conv.bias"], padding=1, groups=c - g)
    kv = F.conv2d(kv, p["kv_l.point_conv.weight"][:, :, None, None], p["kv_l.point_conv.bias"])
    at = 0
    for i, d in enumerate(dilations):
        ci = widths[i + 1]
        a, stride = ci // n, d * (window - 1) + 1
        m = F.pad(kv[:, at:at + ci], (0, -w % stride, 0, -h % stride), mode=pad)
        u = F.unfold(m, window, dilation=d, stride=stride).view(b, n, a, window * window, -1)  # [B, n, a, M², W]
        if fusion == "mean":
            f = u.mean(-1).transpose(2, 3)                                      # [B, n, M², a]
        else:
            f = F.adaptive_avg_pool2d(u.permute(0, 1, 3, 4, 2).flatten(3), (None, a))
        f = F.linear(f, p[f"fcs.{i}.weight"], p[f"fcs.{i}.bias"])
        k, v = F.linear(f, p[f"single_heads.{i}.weight"], p[f"single_heads.{i}.bias"]).split(a, -1)
        v_map = v.transpose(2, 3).reshape(b, ci, window, window)
        v_map = F.conv2d(v_map, p[f"local_convs.{i}.weight"], p[f"local_convs.{i}.bias"], padding=1, groups=ci)
        v = v + v_map.view(b, n, a, window * window).transpose(2, 3)
        parts.append(attend(q_l[..., at // n:(at + ci) // n], k, v))
        at += ci
    return F.linear(torch.cat(parts, -1), p["proj.weight"], p["proj.bias"])


def parameters(c, n, r):
    widths, dilations = split(c, r)
    g = widths[0]
    l = c - g
    shapes = {"q": (c, c), "kv_g": (2 * g, g), "sr": (g, g, r, r), "local_conv_g": (g, 1, 3, 3),
              "kv_l.depth_conv": (l, 1, 3, 3), "kv_l.point_conv": (l, l), "proj": (c, c)}
    for i in range(len(dilations)):
        ci = widths[i + 1]
        a = ci // n
        shapes |= {f"fcs.{i}": (a, a), f"single_heads.{i}": (2 * a, a), f"local_convs.{i}": (ci, 1, 3, 3)}
    p = {"norm.weight": (1 + normal(g)).float().double(), "norm.bias": normal(g)}
    for name, shape in shapes.items():
        p[name + ".weight"], p[name + ".bias"] = normal(*shape), normal(shape[0])
    return p


def case(name, b, h, w, c, n, r, window, fusion="mean", pad="reflect"):
    p = parameters(c, n, r) | {"x": normal(b * h * w, c)}
    leaves = {k: v.clone().requires_grad_() for k, v in p.items()}
    y = fasa(leaves["x"].view(b, h * w, c), leaves, h, w, n, r, window, fusion, pad).flatten(0, 1)
    targets = torch.tensor(rng.integers(0, c, b * h * w))
    loss = F.cross_entropy(y, targets, reduction="sum")
    loss.backward()
    for k, v in p.items():
        out[f"{name}/{k}"] = v.numpy().astype(np.float32)  # exact: float32 values
        out[f"{name}/d {k}"] = leaves[k].grad.numpy()
    out[f"{name}/y"] = y.detach().numpy()
    out[f"{name}/targets"] = targets.numpy().astype(np.int32)


def main():
    torch.set_num_threads(1)
    case("mean", 2, 6, 6, 16, 1, 2, 3)
    case("padded", 1, 8, 10, 32, 2, 2, 4)
    case("reference", 1, 8, 8, 32, 2, 2, 3, fusion="reference")
    case("replicate", 1, 4, 4, 16, 7, 2, 4, pad="replicate")
    case("last", 2, 4, 4, 16, 2, 1, 4)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fasa.npz")
    np.savez_compressed(path, **out)
    print(f"{len({k.split('/')[0] for k in out})} cases, {len(out)} arrays, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
