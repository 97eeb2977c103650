"""Writes llama.npz and gpt2.npz: an independent PyTorch run of two tiny decoders.

    python make_golden.py            write both files beside this script
    python make_golden.py --check    also compare with transformers' own LLaMA and GPT-2

The networks are written here from their equations with plain tensor
operations, so that nothing is shared with the Go side. README.md says what the
files hold.
"""

import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 20
IGNORE = -1
EPS = 1e-5
THETA = 10000.0
LEARNING_RATE = 3e-3
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
GRAD_CLIP = 1.0

LLAMA = dict(kind="llama", vocab=61, d_model=32, n_layer=2, n_head=4, n_kv_head=2, d_ff=88,
             n_position=0, batch=2, seq_len=24, seed=11)
GPT2 = dict(kind="gpt2", vocab=61, d_model=32, n_layer=2, n_head=4, n_kv_head=4, d_ff=128,
            n_position=24, batch=3, seq_len=20, seed=12)


def parameter_shapes(cfg):
    """Names and shapes in Hugging Face's LLaMA naming; a weight is [out, in]."""
    d, ff, v = cfg["d_model"], cfg["d_ff"], cfg["vocab"]
    kv = cfg["n_kv_head"] * d // cfg["n_head"]
    gpt2 = cfg["kind"] == "gpt2"
    shapes = {"model.embed_tokens.weight": (v, d)}
    if gpt2:
        shapes["model.embed_positions.weight"] = (cfg["n_position"], d)

    def linear(name, n_out, n_in):
        shapes[name + ".weight"] = (n_out, n_in)
        if gpt2:
            shapes[name + ".bias"] = (n_out,)

    def norm(name):
        shapes[name + ".weight"] = (d,)
        if gpt2:
            shapes[name + ".bias"] = (d,)

    for i in range(cfg["n_layer"]):
        p = f"model.layers.{i}"
        norm(p + ".input_layernorm")
        linear(p + ".self_attn.q_proj", d, d)
        linear(p + ".self_attn.k_proj", kv, d)
        linear(p + ".self_attn.v_proj", kv, d)
        linear(p + ".self_attn.o_proj", d, d)
        norm(p + ".post_attention_layernorm")
        if gpt2:
            linear(p + ".mlp.fc1", ff, d)
            linear(p + ".mlp.fc2", d, ff)
        else:
            linear(p + ".mlp.gate_proj", ff, d)
            linear(p + ".mlp.up_proj", ff, d)
            linear(p + ".mlp.down_proj", d, ff)
    norm("model.norm")
    if not gpt2:
        shapes["lm_head.weight"] = (v, d)
    return shapes


def initial_weights(cfg, rng):
    """Draws weights that leave nothing out: no zero bias, no norm weight of exactly one."""
    weights = {}
    for name, shape in parameter_shapes(cfg).items():
        x = rng.standard_normal(shape)
        if "embed" in name:
            x *= 0.3
        elif len(shape) == 2:
            x /= math.sqrt(shape[1])
        elif "norm" in name and name.endswith("weight"):
            x = 1 + 0.1 * x
        else:
            x *= 0.1
        weights[name] = x.astype(np.float32)
    return weights


def batches(cfg, rng):
    """Sequences with a rule that can be learnt; about an eighth of the targets is ignored."""
    v, shape = cfg["vocab"], (STEPS, cfg["batch"], cfg["seq_len"] + 1)
    tokens = np.empty(shape, np.int64)
    tokens[:, :, 0] = rng.integers(0, v, shape[:2])
    for t in range(1, shape[2]):
        rule = (3 * tokens[:, :, t - 1] + 7) % v
        tokens[:, :, t] = np.where(rng.random(shape[:2]) < 0.9, rule, rng.integers(0, v, shape[:2]))
    inputs, targets = tokens[:, :, :-1].copy(), tokens[:, :, 1:].copy()
    targets[rng.random(targets.shape) < 0.1] = IGNORE
    targets[:, 0, -2:] = IGNORE
    return inputs.astype(np.int32), targets.astype(np.int32)


def rms_norm(x, weight):
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + EPS) * weight + bias


def rotary(x):
    """Rotates [B,H,T,K] by position: the pair of element j is j + K/2, angle t * theta^(-2j/K)."""
    t, k = x.shape[-2:]
    frequency = THETA ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)  # [K/2]
    angle = torch.arange(t, dtype=torch.float64)[:, None] * frequency       # [T,K/2]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., : k // 2], x[..., k // 2:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))


def forward(cfg, w, ids):
    """Logits [B,T,V] of token ids [B,T]."""
    gpt2 = cfg["kind"] == "gpt2"
    n_head, n_kv = cfg["n_head"], cfg["n_kv_head"]
    b, t = ids.shape

    def linear(name, x):
        y = x @ w[name + ".weight"].T
        return y + w[name + ".bias"] if gpt2 else y

    def norm(name, x):
        if gpt2:
            return layer_norm(x, w[name + ".weight"], w[name + ".bias"])
        return rms_norm(x, w[name + ".weight"])

    def attention(p, x):
        q = linear(p + ".q_proj", x).view(b, t, n_head, -1).transpose(1, 2)  # [B,H,T,K]
        k = linear(p + ".k_proj", x).view(b, t, n_kv, -1).transpose(1, 2)    # [B,G,T,K]
        v = linear(p + ".v_proj", x).view(b, t, n_kv, -1).transpose(1, 2)
        if not gpt2:
            q, k = rotary(q), rotary(k)
        heads = []
        for h in range(n_head):
            g = h // (n_head // n_kv)
            scores = q[:, h] @ k[:, g].transpose(1, 2) / math.sqrt(q.shape[-1])  # [B,T,T]
            future = torch.ones(t, t, dtype=torch.bool).triu(1)
            heads.append(scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, g])
        return linear(p + ".o_proj", torch.cat(heads, -1))  # [B,T,D]

    def mlp(p, x):
        if gpt2:
            return linear(p + ".fc2", gelu_tanh(linear(p + ".fc1", x)))
        gate = linear(p + ".gate_proj", x)
        return linear(p + ".down_proj", gate * torch.sigmoid(gate) * linear(p + ".up_proj", x))

    x = w["model.embed_tokens.weight"][ids]
    if gpt2:
        x = x + w["model.embed_positions.weight"][:t]
    for i in range(cfg["n_layer"]):
        p = f"model.layers.{i}"
        x = x + attention(p + ".self_attn", norm(p + ".input_layernorm", x))
        x = x + mlp(p + ".mlp", norm(p + ".post_attention_layernorm", x))
    x = norm("model.norm", x)
    return x @ w["model.embed_tokens.weight" if gpt2 else "lm_head.weight"].T


def train(cfg, weights, inputs, targets, dtype):
    """Runs the 20 steps in one dtype; returns everything the golden file can hold."""
    w = {n: torch.tensor(x, dtype=dtype, requires_grad=True) for n, x in weights.items()}
    optimizer = torch.optim.AdamW([
        {"params": [p for p in w.values() if p.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in w.values() if p.dim() < 2], "weight_decay": 0.0},
    ], lr=LEARNING_RATE, betas=BETAS, eps=1e-8, foreach=False)
    run = {"loss": [], "grad_norm": []}
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        logits = forward(cfg, w, torch.tensor(inputs[step], dtype=torch.long))
        target = torch.tensor(targets[step], dtype=torch.long).flatten()
        loss = F.cross_entropy(logits.flatten(0, 1), target, ignore_index=IGNORE)
        loss.backward()
        if step == 0:
            run["logits"] = logits.detach().numpy().copy()
            run["grad"] = {n: p.grad.numpy().copy() for n, p in w.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(w.values()), GRAD_CLIP)
        optimizer.step()
        run["loss"].append(loss.item())
        run["grad_norm"].append(norm.item())
    run["final"] = {n: p.detach().numpy().copy() for n, p in w.items()}
    return run


def checksum(final, initial):
    """[L2 norm, sum, L2 norm of the change], in float64."""
    f, i = final.astype(np.float64), initial.astype(np.float64)
    return np.array([np.linalg.norm(f), f.sum(), np.linalg.norm(f - i)])


def golden(cfg):
    rng = np.random.default_rng(cfg["seed"])
    weights = initial_weights(cfg, rng)
    inputs, targets = batches(cfg, rng)
    r64 = train(cfg, weights, inputs, targets, torch.float64)
    r32 = train(cfg, weights, inputs, targets, torch.float32)
    out = {"inputs": inputs, "targets": targets}
    keys = ["vocab", "d_model", "n_layer", "n_head", "n_kv_head", "d_ff", "n_position", "batch", "seq_len"]
    out["config"] = np.array([cfg[k] for k in keys], np.int32)
    for tag, r in (("32", r32), ("64", r64)):
        out["loss" + tag] = np.array(r["loss"])
        out["grad_norm" + tag] = np.array(r["grad_norm"])
    out["logits"] = r64["logits"].astype(np.float32)
    for n in weights:
        out["weight." + n] = weights[n]
        out["grad." + n] = r64["grad"][n].astype(np.float32)
        # Softmax ignores a shift common to all keys, so this gradient is rounding noise, which Adam
        # blows up to full steps: its final value says nothing.
        if not n.endswith("k_proj.bias"):
            out["final32." + n] = checksum(r32["final"][n], weights[n])
            out["final64." + n] = checksum(r64["final"][n], weights[n])
    worst = max((np.abs(r32["grad"][n] - r64["grad"][n]).max() / np.abs(r64["grad"][n]).max(), n)
                for n in weights if not n.endswith("k_proj.bias"))
    drift = max((np.linalg.norm(r32["final"][n] - r64["final"][n]) / np.linalg.norm(r64["final"][n]), n)
                for n in weights if not n.endswith("k_proj.bias"))
    print(f"{cfg['kind']}: loss {r64['loss'][0]:.6f} -> {r64['loss'][-1]:.6f}, "
          f"gradient norm {min(r64['grad_norm']):.3f}..{max(r64['grad_norm']):.3f}")
    print(f"  float32 against float64: loss {np.abs(out['loss32'] - out['loss64']).max():.1e}, "
          f"gradient {worst[0]:.1e} ({worst[1]}), final weight {drift[0]:.1e} ({drift[1]})")
    return out


def check(cfg, out):
    """Compares logits, loss and gradients with transformers' implementation in float64."""
    import transformers
    w = {k[7:]: torch.tensor(v, dtype=torch.float64) for k, v in out.items() if k.startswith("weight.")}
    if cfg["kind"] == "llama":
        net = transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=cfg["vocab"], hidden_size=cfg["d_model"], intermediate_size=cfg["d_ff"],
            num_hidden_layers=cfg["n_layer"], num_attention_heads=cfg["n_head"],
            num_key_value_heads=cfg["n_kv_head"], rms_norm_eps=EPS, tie_word_embeddings=False)).double()
        # transformers keeps its rotary frequencies in float32.
        k = cfg["d_model"] // cfg["n_head"]
        net.model.rotary_emb.inv_freq = THETA ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
        state, names = dict(w), {n: n for n in w}
    else:
        net = transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=cfg["vocab"], n_positions=cfg["n_position"], n_embd=cfg["d_model"], n_layer=cfg["n_layer"],
            n_head=cfg["n_head"], n_inner=cfg["d_ff"], bos_token_id=None, eos_token_id=None, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)).double()
        state, names = {}, {}

        def take(theirs, ours, transpose=False):
            for part in ("weight", "bias"):
                if f"{ours}.{part}" in w:
                    x = w[f"{ours}.{part}"]
                    state[f"{theirs}.{part}"] = x.T if transpose and part == "weight" else x
                    if not (transpose and part == "weight"):
                        names[f"{theirs}.{part}"] = f"{ours}.{part}"

        take("transformer.wte", "model.embed_tokens")
        take("transformer.wpe", "model.embed_positions")
        take("transformer.ln_f", "model.norm")
        for i in range(cfg["n_layer"]):
            t, o = f"transformer.h.{i}", f"model.layers.{i}"
            take(t + ".ln_1", o + ".input_layernorm")
            take(t + ".ln_2", o + ".post_attention_layernorm")
            take(t + ".attn.c_proj", o + ".self_attn.o_proj", True)
            take(t + ".mlp.c_fc", o + ".mlp.fc1", True)
            take(t + ".mlp.c_proj", o + ".mlp.fc2", True)
            for part in ("weight", "bias"):  # GPT-2's c_attn is q, k, v side by side, stored [in, out]
                qkv = torch.cat([w[f"{o}.self_attn.{c}_proj.{part}"] for c in "qkv"])
                state[f"{t}.attn.c_attn.{part}"] = qkv.T if part == "weight" else qkv
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    net.tie_weights()
    logits = net(torch.tensor(out["inputs"][0], dtype=torch.long)).logits
    loss = F.cross_entropy(logits.flatten(0, 1), torch.tensor(out["targets"][0], dtype=torch.long).flatten(),
                           ignore_index=IGNORE)
    loss.backward()
    theirs = dict(net.named_parameters())
    grad = max(np.abs(theirs[a].grad.numpy() - out["grad." + b]).max() for a, b in names.items())
    dlogits = np.abs(logits.detach().numpy() - out["logits"]).max()
    dloss = abs(loss.item() - out["loss64"][0])
    print(f"  transformers {transformers.__version__}: logits {dlogits:.1e}, loss {dloss:.1e}, "
          f"gradient {grad:.1e} over {len(names)} tensors")
    # transformers' LLaMA takes its norms, softmax and rotary angles in float32 whatever the model's dtype.
    assert dlogits < 5e-6 and dloss < 1e-6 and grad < 5e-6, "disagrees with transformers"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with transformers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = os.path.dirname(os.path.abspath(__file__))
    for cfg in (LLAMA, GPT2):
        out = golden(cfg)
        if args.check:
            check(cfg, out)
        path = os.path.join(folder, cfg["kind"] + ".npz")
        np.savez_compressed(path, **{k: np.ascontiguousarray(v) for k, v in out.items()})
        print(f"  {os.path.basename(path)}: {len(out)} arrays, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
