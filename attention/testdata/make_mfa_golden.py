"""Writes mfa.npz: MFA, MFA-KR and MLA layers by PyTorch, in float64, with gradients of a cross entropy.

    python make_mfa_golden.py
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

B, T, D, THETA, EPS = 2, 7, 12, 10000.0, 1e-5
rng = np.random.default_rng(3)
out = {}


def normal(*shape):
    return torch.tensor(0.5 * rng.standard_normal(shape)).requires_grad_()


def rotate(x):
    """Rotary embedding of x [B,T,H,K] as complex multiplication of the two halves of a head."""
    k = x.shape[-1]
    angle = torch.arange(T, dtype=torch.float64)[:, None] * THETA ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
    z = torch.complex(x[..., : k // 2], x[..., k // 2:]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat((z.real, z.imag), -1)


def attend(q, k, v):
    """Causal attention of q [B,T,H,K] to k [B,T,G,K] and v [B,T,G,V], heads side by side."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=k.shape[1] != q.shape[1])
    return y.transpose(1, 2).flatten(2)


def mfa(w, heads):
    q = F.rms_norm(w["x"] @ w["q_proj.weight"].T, w["inter_norm.weight"].shape, w["inter_norm.weight"], EPS)
    q = (q @ w["wq.weight"].T).unflatten(-1, (heads, -1))
    k = w["x"] @ w["k_proj.weight"].T
    v = w["x"] @ w["v_proj.weight"].T if "v_proj.weight" in w else k + w["v_gate"] * (k @ w["n_proj.weight"].T)
    return attend(rotate(q), rotate(k[:, :, None]), v[:, :, None]) @ w["o_proj.weight"].T


def mla(w, heads, rope):
    q = (w["x"] @ w["q_proj.weight"].T).unflatten(-1, (heads, -1))
    latent = w["x"] @ w["kv_a_proj.weight"].T
    latent = F.rms_norm(latent, latent.shape[-1:], w["kv_a_layernorm.weight"], EPS)
    shared = rotate((w["x"] @ w["k_rope_proj.weight"].T)[:, :, None]).expand(-1, -1, heads, -1)
    k = (latent @ w["k_b_proj.weight"].T).unflatten(-1, (heads, -1))
    v = (latent @ w["v_b_proj.weight"].T).unflatten(-1, (heads, -1))
    q = torch.cat((q[..., :-rope], rotate(q[..., -rope:])), -1)
    return attend(q, torch.cat((k, shared), -1), v) @ w["o_proj.weight"].T


def case(name, function, w):
    w = dict(x=normal(B, T, D), **w)
    y = function(w)
    targets = torch.tensor(rng.integers(0, D, B * T))
    F.cross_entropy(y.flatten(0, 1), targets, reduction="sum").backward()
    for key, v in w.items():
        out[f"{name}.{key}"] = v.detach().numpy().reshape(-1, D) if key == "x" else v.detach().numpy()
        out[f"{name}.grad.{key}"] = v.grad.numpy().reshape(-1, D) if key == "x" else v.grad.numpy()
    out[f"{name}.y"] = y.detach().numpy().reshape(-1, D)
    out[f"{name}.targets"] = targets.numpy().astype(np.int32)


def main():
    torch.set_num_threads(1)
    c, rank, heads = 8, 10, 3
    shared = lambda: {"q_proj.weight": normal(rank, D), "inter_norm.weight": normal(rank), "wq.weight": normal(heads * c, rank),
                      "k_proj.weight": normal(c, D), "o_proj.weight": normal(D, heads * c)}
    case("mfa", lambda w: mfa(w, heads), {**shared(), "v_proj.weight": normal(c, D)})
    case("mfa_kr", lambda w: mfa(w, heads), {**shared(), "n_proj.weight": normal(c, c), "v_gate": normal(c)})
    latent, nope, rope, value = 9, 5, 4, 6
    case("mla", lambda w: mla(w, heads, rope), {
        "q_proj.weight": normal(heads * (nope + rope), D), "kv_a_proj.weight": normal(latent, D), "kv_a_layernorm.weight": normal(latent),
        "k_rope_proj.weight": normal(rope, D), "k_b_proj.weight": normal(heads * nope, latent),
        "v_b_proj.weight": normal(heads * value, latent), "o_proj.weight": normal(D, heads * value)})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mfa.npz")
    np.savez_compressed(path, **out)
    print(len(out), "arrays,", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
