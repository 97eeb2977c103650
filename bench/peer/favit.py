"""FaViT (Qin et al., arXiv 2312.08614) in PyTorch, written from its equations, with the names of its parameters.

Maps are [B, C, H, W] in channels-last memory, so that tokens [B, N, C] are views of them. Windows are averaged through
views of the padded map, not through unfold, which is several times slower.
"""

import torch
import torch.nn.functional as F
from torch import nn


def as_map(x, h, w):
    """[B, H*W, C] as [B, C, H, W]."""
    return x.transpose(1, 2).unflatten(2, (h, w))


def tokens(x):
    """The reverse."""
    return x.flatten(2).transpose(1, 2)


def depthwise(c):
    return nn.Conv2d(c, c, 3, padding=1, groups=c)


class FaSA(nn.Module):
    def __init__(self, c, heads, r, window, fusion, pad):
        super().__init__()
        unit = c // (8 if r == 1 else 16)
        self.widths, self.dilations = ([unit, 7 * unit], [1]) if r == 1 else ([2 * unit, 7 * unit, 7 * unit], [1, r])
        self.heads, self.r, self.window, self.fusion, self.pad = heads, r, window, fusion, pad
        g = self.widths[0]
        self.q, self.kv_g, self.proj = nn.Linear(c, c), nn.Linear(g, 2 * g), nn.Linear(c, c)
        self.kv_l = nn.Module()
        self.kv_l.depth_conv, self.kv_l.point_conv = depthwise(c - g), nn.Linear(c - g, c - g)
        self.sr, self.norm, self.local_conv_g = nn.Conv2d(g, g, r, r), nn.LayerNorm(g), depthwise(g)
        head = [w // heads for w in self.widths[1:]]
        self.fcs = nn.ModuleList(nn.Linear(a, a) for a in head)
        self.single_heads = nn.ModuleList(nn.Linear(a, 2 * a) for a in head)
        self.local_convs = nn.ModuleList(depthwise(w) for w in self.widths[1:])

    def forward(self, x, h, w):
        n, m, g = self.heads, self.window, self.widths[0]
        q = self.q(x)
        k, v = self.kv_g(self.norm(tokens(self.sr(as_map(x[..., :g], h, w))))).split(g, -1)
        v = v + tokens(self.local_conv_g(as_map(v, h // self.r, w // self.r)))
        parts = [F.scaled_dot_product_attention(q[:, None, :, :g], k[:, None], v[:, None])[:, 0]]
        q_l = q[..., g:].unflatten(2, (n, -1)).transpose(1, 2)                            # [B, n, N, C_l/n]
        kv = as_map(self.kv_l.point_conv(tokens(self.kv_l.depth_conv(as_map(x[..., g:], h, w)))), h, w)
        at = 0
        for c, d, fc, single, conv in zip(self.widths[1:], self.dilations, self.fcs, self.single_heads, self.local_convs):
            k, v = single(fc(self.fuse(kv[:, at:at + c], d))).split(c // n, -1)           # [B, M², n, a]
            v = v.flatten(2)
            v = (v + tokens(conv(as_map(v, m, m)))).unflatten(2, (n, -1))
            y = F.scaled_dot_product_attention(q_l[..., at // n:(at + c) // n], k.transpose(1, 2), v.transpose(1, 2))
            parts.append(y.transpose(1, 2).flatten(2))
            at += c
        return self.proj(torch.cat(parts, -1))

    def fuse(self, x, d):
        """One window [B, M², n, a] of all windows of a map."""
        b, c, h, w = x.shape
        m, n, stride = self.window, self.heads, d * (self.window - 1) + 1
        down, right = -h % stride, -w % stride
        if down or right:
            x = F.pad(x, (0, right, 0, down), mode=self.pad)
        x = x.unflatten(3, (-1, stride)).unflatten(2, (-1, stride))[:, :, :, ::d, :, ::d]  # [B, C, h, M, w, M]
        if self.fusion == "mean":
            return x.mean((2, 4)).permute(0, 2, 3, 1).reshape(b, m * m, n, c // n)
        x = x.permute(0, 3, 5, 2, 4, 1).reshape(b, m * m, -1, n, c // n)                  # [B, M², W, n, a]
        return x.transpose(2, 3).flatten(3).unflatten(3, (c // n, -1)).mean(-1)


class MLP(nn.Module):
    def __init__(self, c, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(c, hidden), nn.Linear(hidden, c)
        self.dwconv = nn.Module()
        self.dwconv.dwconv = depthwise(hidden)

    def forward(self, x, h, w):
        return self.fc2(F.gelu(tokens(self.dwconv.dwconv(as_map(self.fc1(x), h, w)))))


class Block(nn.Module):
    def __init__(self, c, heads, ratio, r, window, fusion, pad):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(c, eps=1e-6), nn.LayerNorm(c, eps=1e-6)
        self.attn, self.mlp = FaSA(c, heads, r, window, fusion, pad), MLP(c, ratio * c)

    def forward(self, x, h, w):
        x = x + self.attn(self.norm1(x), h, w)
        return x + self.mlp(self.norm2(x), h, w)


class FaViT(nn.Module):
    """cfg: widths, depths, heads, mlp_ratios, reductions, stem_kernel, stem_stride, window, fusion, pad, channels, classes."""

    def __init__(self, cfg):
        super().__init__()
        self.stages = len(cfg["widths"])
        c_in = cfg["channels"]
        for i, c in enumerate(cfg["widths"]):
            k, s = (cfg["stem_kernel"], cfg["stem_stride"]) if i == 0 else (3, 2)
            embed = nn.Module()
            embed.proj, embed.norm = nn.Conv2d(c_in, c, k, s, k // 2), nn.LayerNorm(c)
            setattr(self, f"patch_embed{i + 1}", embed)
            setattr(self, f"block{i + 1}", nn.ModuleList(
                Block(c, cfg["heads"][i], cfg["mlp_ratios"][i], cfg["reductions"][i], cfg["window"], cfg["fusion"], cfg["pad"])
                for _ in range(cfg["depths"][i])))
            setattr(self, f"norm{i + 1}", nn.LayerNorm(c, eps=1e-6))
            c_in = c
        self.head = nn.Linear(c_in, cfg["classes"])

    def forward(self, x):
        """Scores [B, classes] of images [B, H, W, C]."""
        x = x.permute(0, 3, 1, 2)
        for i in range(1, self.stages + 1):
            embed = getattr(self, f"patch_embed{i}")
            x = embed.proj(x)
            h, w = x.shape[2:]
            x = embed.norm(tokens(x))
            for block in getattr(self, f"block{i}"):
                x = block(x, h, w)
            x = getattr(self, f"norm{i}")(x)
            if i < self.stages:
                x = as_map(x, h, w)
        return self.head(x.mean(1))
