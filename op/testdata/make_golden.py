"""Writes operators.npz: outputs and gradients of single operators by PyTorch, in float64.

    python make_golden.py

Every case calls PyTorch's own operator and autograd; README.md lists the cases.
"""

import math
import os

import numpy as np
import torch
import torch.nn.functional as F

IGNORE = -1
EPS = 1e-5
THETA = 10000.0

rng = np.random.default_rng(7)
out = {}


def normal(*shape, scale=1.0):
    return torch.tensor(scale * rng.standard_normal(shape))


def case(name, function, inputs, constants=None, upstream_mask=None):
    """Records inputs, y = function(**inputs, **constants), a random dy, and dX for every input X.

    Inputs and dy are rounded to float32 first, so that a float32 test starts from the very same numbers.
    """
    constants = constants or {}
    inputs = {k: v.float().double() for k, v in inputs.items()}
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    y = function(**leaves, **constants)
    dy = (normal(*y.shape) if y.dim() else normal(1)[0]).float().double()
    if upstream_mask is not None:
        dy = dy * upstream_mask
    y.backward(dy)
    put = lambda key, x: out.__setitem__(f"{name}.{key}", np.atleast_1d(np.ascontiguousarray(x.detach().numpy())))
    for k, v in inputs.items():
        put(k, v)
        put("d" + k, leaves[k].grad)
    for k, v in constants.items():
        if isinstance(v, torch.Tensor):
            put(k, v.to(torch.int32))
    put("y", y)
    put("dy", dy)


def linear_cases():
    for tag, lead, n_in, n_out in (("", (2, 5), 7, 9), ("_tall", (33,), 17, 3), ("_row", (1,), 5, 37)):
        x, w = normal(*lead, n_in), normal(n_out, n_in)
        case(f"linear{tag}_nobias", lambda x, weight: F.linear(x, weight), dict(x=x, weight=w))
        case(f"linear{tag}_bias", lambda x, weight, bias: F.linear(x, weight, bias),
             dict(x=x, weight=w, bias=normal(n_out)))


def norm_cases():
    for tag, shape, scale in (("", (2, 5, 17), 1.0), ("_wide", (3, 64), 1.0),
                              ("_small", (2, 3, 6), 1e-3),   # eps matters
                              ("_large", (2, 3, 6), 1e3)):
        d = shape[-1]
        x, w, b = normal(*shape, scale=scale), 1 + normal(d, scale=0.3), normal(d)
        case(f"rms_norm{tag}", lambda x, weight: F.rms_norm(x, (d,), weight, EPS), dict(x=x, weight=w))
        case(f"layer_norm{tag}", lambda x, weight, bias: F.layer_norm(x, (d,), weight, bias, EPS),
             dict(x=x + scale, weight=w, bias=b))


def rotate(x, positions):
    """Rotary embedding of x [B,T,H,K] as complex multiplication: (x_j + i x_{j+K/2}) exp(i t theta^(-2j/K))."""
    k = x.shape[-1]
    frequency = THETA ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
    turn = torch.polar(torch.ones(1, dtype=torch.float64), positions.double()[:, None] * frequency)  # [T,K/2]
    z = torch.complex(x[..., : k // 2], x[..., k // 2:]) * turn[:, None]                              # [B,T,H,K/2]
    return torch.cat((z.real, z.imag), -1)


def rotary_cases():
    case("rotary", rotate, dict(x=normal(2, 7, 3, 8)), dict(positions=torch.arange(7)))
    case("rotary_one", rotate, dict(x=normal(1, 1, 1, 2)), dict(positions=torch.arange(1)))
    case("rotary_offset", rotate, dict(x=normal(1, 3, 2, 16)), dict(positions=torch.arange(100, 103)))


def attention(q, k, v, causal=False, lengths=None):
    """Attention of q [B,T,H,K] to k, v [B,S,G,K]; query t stands at position S-T+t."""
    (b, t, h, _), (s, g) = q.shape, k.shape[1:3]
    allowed = torch.ones(b, 1, t, s, dtype=torch.bool)
    if causal:
        allowed = allowed.tril(s - t)
    if lengths is not None:
        allowed = allowed & (torch.arange(s) < lengths[:, None])[:, None, None, :]
    heads = [x.transpose(1, 2) for x in (q, k, v)]
    y = F.scaled_dot_product_attention(*heads, attn_mask=allowed, enable_gqa=g != h).transpose(1, 2)
    wide = [x.repeat_interleave(h // g, 1) if x.shape[1] != h else x for x in heads]
    scores = wide[0] @ wide[1].transpose(2, 3) / math.sqrt(q.shape[-1])
    naive = scores.masked_fill(~allowed, -math.inf).softmax(-1) @ wide[2]
    assert torch.allclose(y, naive.transpose(1, 2), rtol=1e-12, atol=1e-13)
    return y


def attention_cases():
    heads = dict(mha=(2, 2), gqa=(4, 2), mqa=(3, 1))
    for kind, (h, g) in heads.items():
        def add(tag, b, t, k, s=None, **settings):
            s = s or t
            mask = None
            if "lengths" in settings:
                settings["lengths"] = torch.tensor(settings["lengths"])
                mask = (torch.arange(t) < settings["lengths"][:, None])[:, :, None, None].double()
            case(f"attention_{kind}_{tag}", lambda q, k, v, lengths=None, causal=False: attention(q, k, v, causal, lengths),
                 dict(q=normal(b, t, h, k), k=normal(b, s, g, k), v=normal(b, s, g, k)), settings, mask)

        add("causal", 2, 7, 6, causal=True)
        add("bidirectional", 2, 7, 6)
        add("padded", 3, 7, 6, lengths=[7, 3, 1])
        add("causal_padded", 3, 7, 6, causal=True, lengths=[5, 7, 1])
        add("causal_t1", 2, 1, 6, causal=True)
        add("bidirectional_t1", 2, 1, 6)
        add("cached", 2, 1, 6, s=9, causal=True)
        add("cached_t3", 1, 3, 6, s=9, causal=True)
    for kind in heads:
        h, g = heads[kind]
        case(f"attention_{kind}_causal_t37", lambda q, k, v, causal=True: attention(q, k, v, True),
             dict(q=normal(1, 37, h, 8), k=normal(1, 37, g, 8), v=normal(1, 37, g, 8)))
    h, g = heads["gqa"]
    lengths = torch.tensor([21, 37])
    mask = (torch.arange(37) < lengths[:, None])[:, :, None, None].double()
    case("attention_gqa_padded_t37", lambda q, k, v, lengths: attention(q, k, v, False, lengths),
         dict(q=normal(2, 37, h, 4), k=normal(2, 37, g, 4), v=normal(2, 37, g, 4)), dict(lengths=lengths), mask)
    case("attention_mha_bidirectional_t37", lambda q, k, v: attention(q, k, v),
         dict(q=normal(1, 37, 2, 4), k=normal(1, 37, 2, 4), v=normal(1, 37, 2, 4)))


def activation_cases():
    edge = torch.tensor([0.0, -0.0, 1e-8, -1e-8, 1e-3, -1e-3, 5, -5, 9, -9, 20, -20, 60, -60])
    x = torch.cat((edge.double(), normal(97, scale=3)))
    case("silu", lambda x: F.silu(x), dict(x=x))
    case("gelu_erf", lambda x: F.gelu(x), dict(x=x))
    case("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), dict(x=x))
    case("swiglu", lambda gate, up: F.silu(gate) * up, dict(gate=x.reshape(3, 37), up=normal(3, 37)))


def cross_entropy_cases():
    def loss(reduction):
        return lambda logits, targets: F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE,
                                                       reduction=reduction)

    targets = torch.tensor([[3, IGNORE, 0, 12, 5], [IGNORE, IGNORE, 12, 3, 3]])
    case("cross_entropy_mean", loss("mean"), dict(logits=normal(2, 5, 13)), dict(targets=targets))
    case("cross_entropy_sum", loss("sum"), dict(logits=normal(2, 5, 13)), dict(targets=targets))
    case("cross_entropy_full", loss("mean"), dict(logits=normal(4, 37)), dict(targets=torch.tensor([36, 0, 7, 7])))
    case("cross_entropy_large", loss("mean"), dict(logits=normal(4, 9, scale=300)),  # exp() overflows without the maximum
         dict(targets=torch.tensor([8, IGNORE, 0, 4])))


def other_cases():
    case("embedding", lambda weight, ids: F.embedding(ids, weight), dict(weight=normal(11, 6)),
         dict(ids=torch.tensor([[0, 10, 3, 3, 0], [7, 3, 1, 10, 3]])))
    case("add", lambda a, b: a + b, dict(a=normal(2, 5, 7), b=normal(2, 5, 7)))
    case("add_positions", lambda a, b: a + b, dict(a=normal(2, 5, 7), b=normal(5, 7)))


def dense_sparse_cases():
    def layer(nonzeros, atoms, outputs, shared):
        def y(x, dictionary, values, bias, index):
            width, blocks = dictionary.shape[1], []
            first = 0
            for g, s in enumerate(nonzeros):
                codes = sum(F.one_hot(index[r].long(), atoms) * values[r][:, None] for r in range(first, first + s))
                blocks.append(torch.einsum("vk,kb->vb", codes, dictionary if shared else dictionary.view(-1, atoms, width)[g]))
                first += s
            w = torch.cat(blocks, 1)
            return F.linear(x, w.T if outputs else w, bias)
        return y

    def add(tag, n, vectors, width, atoms, nonzeros, outputs, shared):
        side, rows = width * len(nonzeros), sum(nonzeros)
        n_in, n_out = (vectors, side) if outputs else (side, vectors)
        index = torch.tensor(np.concatenate([
            np.stack([np.sort(rng.choice(atoms, s, replace=False)) for _ in range(vectors)], 1) for s in nonzeros]))
        case(f"dense_sparse_{tag}", layer(nonzeros, atoms, outputs, shared),
             dict(x=normal(n, n_in), dictionary=normal((1 if shared else len(nonzeros)) * atoms, width),
                  values=normal(rows, vectors), bias=normal(n_out)), dict(index=index))
        put = lambda key, v: out.__setitem__(f"dense_sparse_{tag}.{key}", np.array(v, np.int32))
        put("nonzeros", nonzeros)
        put("layout", [atoms, outputs, shared])

    add("inputs_shared", 5, 19, 8, 20, [3, 3, 3], False, True)
    add("inputs_many", 5, 19, 8, 20, [1, 4, 2], False, False)
    add("outputs_shared", 5, 19, 8, 20, [1, 4, 2], True, True)
    add("outputs_many", 1, 7, 5, 3, [2, 2], True, False)


def sltrain_cases():
    """W = scale B A + S, B = up, A = down, S with its values at places row*I + column: the same in both modes."""
    def layer(x, down, up, values, bias, scale, places):
        w = torch.tanh(scale) * (up @ down)
        s = torch.zeros_like(w).view(-1).index_add(0, places.long(), values).view_as(w)
        return F.linear(x, w + s, bias)

    for tag, (n, n_in, n_out, rank, nonzeros) in (("materialized", (5, 13, 11, 3, 17)), ("factored", (6, 19, 9, 4, 40))):
        places = torch.tensor(np.sort(rng.choice(n_out * n_in, nonzeros, replace=False)))
        case(f"sltrain_{tag}", layer,
             dict(x=normal(n, n_in), down=normal(rank, n_in), up=normal(n_out, rank), values=normal(nonzeros), bias=normal(n_out),
                  scale=normal(1)), dict(places=places))


def expand_cases():
    for tag, n, n_in, n_out in (("", 33, 7, 9), ("_row", 1, 17, 3)):
        case(f"expand{tag}", lambda x, weight: x @ weight, dict(x=normal(n, n_in), weight=normal(n_in, n_out)))


def main():
    torch.set_num_threads(1)
    linear_cases()
    norm_cases()
    rotary_cases()
    attention_cases()
    activation_cases()
    cross_entropy_cases()
    other_cases()
    dense_sparse_cases()
    sltrain_cases()
    expand_cases()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operators.npz")
    np.savez_compressed(path, **out)
    cases = sorted({k.split(".")[0] for k in out})
    print(f"{len(cases)} cases, {len(out)} arrays, {os.path.getsize(path)} bytes")
    for c in cases:
        print(" ", c, " ".join(f"{k.split('.')[1]}{list(v.shape)}" for k, v in out.items() if k.split(".")[0] == c))


if __name__ == "__main__":
    main()
