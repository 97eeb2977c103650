"""Writes vision.npz: outputs and gradients of the operators on maps by PyTorch, in float64.

    python make_vision_golden.py

Maps are [B*H*W, C], a pixel's channels side by side; weights are PyTorch's own.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(17)
out = {}


def normal(*shape):
    return torch.tensor(rng.standard_normal(shape)).float().double()


def case(name, function, inputs):
    """Records the inputs, y = function(**inputs), a random dy, and dX for every input X."""
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    y = function(**leaves)
    dy = normal(*y.shape) if y.dim() else normal(1)[0]
    y.backward(dy)
    put = lambda key, x: out.__setitem__(f"{name}.{key}", np.atleast_1d(np.ascontiguousarray(x.detach().numpy())))
    for k, v in inputs.items():
        put(k, v)
        put("d" + k, leaves[k].grad)
    put("y", y)
    put("dy", dy)


def image(x, b, h, w):
    """[B*H*W, C] as PyTorch's [B, C, H, W]."""
    return x.view(b, h, w, -1).permute(0, 3, 1, 2)


def rows(y):
    """The reverse."""
    return y.permute(0, 2, 3, 1).flatten(0, 2)


def conv_cases():
    for name, (b, h, w), c, o, k, settings in (
        ("conv", (2, 6, 5), 3, 4, 3, {}),
        ("conv_stem", (2, 13, 11), 3, 5, 7, dict(stride=4, padding=3)),
        ("conv_stride", (2, 8, 6), 4, 3, 3, dict(stride=2, padding=1)),
        ("conv_dilated", (1, 9, 8), 2, 3, 3, dict(dilation=3, padding=2)),
        ("conv_patches", (2, 8, 4), 4, 4, 4, dict(stride=4)),
    ):
        case(name, lambda x, w, b, shape=(b, h, w), settings=settings: rows(F.conv2d(image(x, *shape), w, b, **settings)),
             dict(x=normal(b * h * w, c), w=normal(o, c, k, k), b=normal(o)))
    case("depthwise", lambda x, w, b: rows(F.conv2d(image(x, 2, 5, 4), w, b, padding=1, groups=6)),
         dict(x=normal(40, 6), w=normal(6, 1, 3, 3), b=normal(6)))
    case("depthwise_residual", lambda x, w, b: x + rows(F.conv2d(image(x, 1, 7, 7), w, b, padding=1, groups=5)),
         dict(x=normal(49, 5), w=normal(5, 1, 3, 3), b=normal(5)))


def fuse(x, shape, heads, kernel, dilation, fusion):
    """Reflection padding, unfold without overlap, and the fusion of windows; [B*K*K, C]."""
    b, h, w = shape
    stride = dilation * (kernel - 1) + 1
    x = image(x, *shape)
    c = x.shape[1]
    x = F.pad(x, (0, -w % stride, 0, -h % stride), mode="reflect")
    u = F.unfold(x, kernel, dilation=dilation, stride=stride)                  # [B, C*K*K, W]
    u = u.view(b, heads, c // heads, kernel * kernel, -1)                      # [B, H, a, K*K, W]
    if fusion == "mean":
        y = u.mean(-1).permute(0, 3, 1, 2)                                     # [B, K*K, H, a]
    else:
        e = u.permute(0, 1, 3, 4, 2).flatten(3)                                # [B, H, K*K, W*a]
        y = F.adaptive_avg_pool1d(e.flatten(0, 1), c // heads).view(b, heads, kernel * kernel, -1).transpose(1, 2)
    return y.reshape(b * kernel * kernel, c)


def fuse_cases():
    for fusion in ("mean", "reference"):
        for name, shape, dilation in (("", (2, 6, 9), 1), ("_padded", (2, 7, 8), 1), ("_dilated", (2, 8, 10), 2)):
            case(f"fuse_{fusion}{name}", lambda x, a=(shape, 2, 3, dilation, fusion): fuse(x, *a),
                 dict(x=normal(shape[0] * shape[1] * shape[2], 8)))


def sets(q, k0, v0, k1, v1, k2, v2):
    """FaSA's three parts: a global head of 4 channels, then 2 heads of 3 + 3 channels that two local groups share."""
    b, n = 2, 9
    q = q.view(b, n, -1)
    group = lambda x, heads: x.view(b, -1, heads, x.shape[1] // heads).transpose(1, 2)  # [B, H, S, K]
    local = q[..., 4:].view(b, n, 2, 6).transpose(1, 2)
    parts = [F.scaled_dot_product_attention(q[:, None, :, :4], group(k0, 1), group(v0, 1)),
             F.scaled_dot_product_attention(local[..., :3], group(k1, 2), group(v1, 2)),
             F.scaled_dot_product_attention(local[..., 3:], group(k2, 2), group(v2, 2))]
    return torch.cat([p.transpose(1, 2).flatten(2) for p in parts], -1).flatten(0, 1)


def other_cases():
    case("mean_tokens", lambda x: x.view(3, 7, 5).mean(1), dict(x=normal(21, 5)))
    case("set_attention", sets, dict(q=normal(18, 16), k0=normal(2 * 4, 4), v0=normal(2 * 4, 4), k1=normal(2 * 5, 6),
                                     v1=normal(2 * 5, 6), k2=normal(2 * 5, 6), v2=normal(2 * 5, 6)))
    targets = torch.softmax(normal(6, 7), -1).float().double()
    out["soft_cross_entropy.targets"] = targets.numpy()
    case("soft_cross_entropy", lambda logits: F.cross_entropy(logits, targets, reduction="sum"), dict(logits=normal(6, 7)))


def main():
    torch.set_num_threads(1)
    conv_cases()
    fuse_cases()
    other_cases()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vision.npz")
    np.savez_compressed(path, **out)
    print(f"{len({k.split('.')[0] for k in out})} cases, {len(out)} arrays, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
