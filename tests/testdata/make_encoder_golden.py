"""Writes encoder.npz, regression.npz and masked.npz: an independent PyTorch run of three tiny BERTs.

    python make_encoder_golden.py            write the files beside this script
    python make_encoder_golden.py --check    also compare with transformers' own BERT

The blocks are PyTorch's own nn.TransformerEncoder; what stands around them, which
PyTorch has no module for, is written here from its equations, and so are the blocks
once more: both must agree. README.md says what the files hold.
"""

import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 12
IGNORE = -1
EPS = 1e-12
LEARNING_RATE = 3e-3
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
GRAD_CLIP = 1.0

ENCODER = dict(kind="encoder", vocab=47, d_model=32, n_layer=2, n_head=4, d_ff=56, n_position=24, n_output=3,
               batch=5, seq_len=19, seed=21)
REGRESSION = dict(kind="regression", vocab=47, d_model=24, n_layer=2, n_head=3, d_ff=40, n_position=16, n_output=1,
                  batch=4, seq_len=16, seed=22)
MASKED = dict(kind="masked", vocab=47, d_model=24, n_layer=1, n_head=2, d_ff=40, n_position=20, n_output=0,
              batch=3, seq_len=20, seed=23)


def parameter_shapes(cfg):
    """Names and shapes in Hugging Face's BERT naming; a weight is [out, in]."""
    d, ff = cfg["d_model"], cfg["d_ff"]
    shapes = {}

    def linear(name, n_out, n_in):
        shapes[name + ".weight"] = (n_out, n_in)
        shapes[name + ".bias"] = (n_out,)

    def norm(name):
        shapes[name + ".weight"] = (d,)
        shapes[name + ".bias"] = (d,)

    for name, n in (("word", cfg["vocab"]), ("position", cfg["n_position"]), ("token_type", 2)):
        shapes[f"bert.embeddings.{name}_embeddings.weight"] = (n, d)
    norm("bert.embeddings.LayerNorm")
    for i in range(cfg["n_layer"]):
        p = f"bert.encoder.layer.{i}."
        for name in ("query", "key", "value"):
            linear(p + "attention.self." + name, d, d)
        linear(p + "attention.output.dense", d, d)
        norm(p + "attention.output.LayerNorm")
        linear(p + "intermediate.dense", ff, d)
        linear(p + "output.dense", d, ff)
        norm(p + "output.LayerNorm")
    if cfg["kind"] == "masked":
        linear("cls.predictions.transform.dense", d, d)
        norm("cls.predictions.transform.LayerNorm")
        shapes["cls.predictions.bias"] = (cfg["vocab"],)
        return shapes
    linear("bert.pooler.dense", d, d)
    linear("classifier", cfg["n_output"], d)
    return shapes


def initial_weights(cfg, rng):
    """Draws weights that leave nothing out: no zero bias, no norm weight of exactly one."""
    weights = {}
    for name, shape in parameter_shapes(cfg).items():
        x = rng.standard_normal(shape)
        if "embeddings.weight" in name:
            x *= 0.3
        elif len(shape) == 2:
            x /= math.sqrt(shape[1])
        elif "LayerNorm" in name and name.endswith("weight"):
            x = 1 + 0.1 * x
        else:
            x *= 0.1
        weights[name] = x.astype(np.float32)
    return weights


def batches(cfg, rng):
    """Pairs of texts of unequal lengths, padded by token 0; a target that depends on the tokens; one ignored."""
    b, t = cfg["batch"], cfg["seq_len"]
    tokens = rng.integers(1, cfg["vocab"], (STEPS, b, t))
    lengths = rng.integers(3, t + 1, (STEPS, b))
    lengths[:, 0], lengths[:, 1] = t, 1
    place = np.arange(t)
    types = ((place >= (lengths // 2)[..., None]) & (place < lengths[..., None])).astype(np.int64)
    tokens[place >= lengths[..., None]] = 0
    labels = tokens[:, :, 0] % max(2, cfg["n_output"])
    labels[:, -1] = IGNORE
    if cfg["kind"] == "masked":  # labels are [B,T]: three tokens a text, in the shortest one fewer
        lengths[:, 1], tokens[:, 1, 1] = 2, 5  # not 0, whose embedding transformers does not train
        labels = np.full((STEPS, b, t), IGNORE)
        for step in range(STEPS):
            for row in range(b):
                at = rng.permutation(min(lengths[step, row], t))[:3]
                labels[step, row, at] = (tokens[step, row, at] * 5 + 1) % cfg["vocab"]
        types = np.zeros_like(types)
    scores = np.sin(tokens[:, :, 0] * 1.0) + 0.1 * lengths
    return [x.astype(np.int32) for x in (tokens, types, lengths, labels)] + [scores]


def torch_blocks(cfg, w, x, hidden):
    """All blocks as nn.TransformerEncoder with the weights w, through which gradients go; hidden [B,T] is padding."""
    layer = torch.nn.TransformerEncoderLayer(
        cfg["d_model"], cfg["n_head"], cfg["d_ff"], dropout=0, activation="gelu", layer_norm_eps=EPS, batch_first=True,
        norm_first=False, dtype=x.dtype)
    net = torch.nn.TransformerEncoder(layer, cfg["n_layer"], enable_nested_tensor=False)
    state = {}
    for i in range(cfg["n_layer"]):
        p, q = f"bert.encoder.layer.{i}.", f"layers.{i}."
        for kind in ("weight", "bias"):
            state[q + "self_attn.in_proj_" + kind] = torch.cat(
                [w[f"{p}attention.self.{n}.{kind}"] for n in ("query", "key", "value")])
            for theirs, ours in (("self_attn.out_proj", "attention.output.dense"), ("norm1", "attention.output.LayerNorm"),
                                 ("linear1", "intermediate.dense"), ("linear2", "output.dense"), ("norm2", "output.LayerNorm")):
                state[f"{q}{theirs}.{kind}"] = w[f"{p}{ours}.{kind}"]
    return torch.func.functional_call(net, state, (x,), {"src_key_padding_mask": hidden}, strict=True)


def plain_blocks(cfg, w, x, hidden):
    """The same from the equations."""
    n_head = cfg["n_head"]
    b, t = hidden.shape

    def linear(name, x):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def attention(p, x):
        q, k, v = (linear(p + ".self." + n, x).view(b, t, n_head, -1).transpose(1, 2) for n in ("query", "key", "value"))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])  # [B,H,T,T]
        y = scores.masked_fill(hidden[:, None, None, :], -math.inf).softmax(-1) @ v
        return linear(p + ".output.dense", y.transpose(1, 2).reshape(b, t, -1))

    for i in range(cfg["n_layer"]):
        p = f"bert.encoder.layer.{i}."
        x = norm(w, p + "attention.output.LayerNorm", x + attention(p + "attention", x))
        x = norm(w, p + "output.LayerNorm", x + linear(p + "output.dense", gelu(linear(p + "intermediate.dense", x))))
    return x


def norm(w, name, x):
    centred = x - x.mean(-1, keepdim=True)
    scale = torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + EPS)
    return centred / scale * w[name + ".weight"] + w[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def forward(cfg, w, tokens, types, lengths, blocks):
    """Scores [B,C] of token ids [B,T], of a masked language model [B,T,V]."""
    t = tokens.shape[1]

    def linear(name, x):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    e = "bert.embeddings."
    x = w[e + "word_embeddings.weight"][tokens] + w[e + "position_embeddings.weight"][:t]
    x = norm(w, e + "LayerNorm", x + w[e + "token_type_embeddings.weight"][types])
    x = blocks(cfg, w, x, torch.arange(t)[None, :] >= lengths[:, None])
    if cfg["kind"] == "masked":
        p = "cls.predictions."
        x = norm(w, p + "transform.LayerNorm", gelu(linear(p + "transform.dense", x)))
        return x @ w[e + "word_embeddings.weight"].T + w[p + "bias"]  # [B,T,V]
    return linear("classifier", torch.tanh(linear("bert.pooler.dense", x[:, 0])))


def loss_of(cfg, logits, labels, scores):
    """Mean over the rows whose label is not IGNORE."""
    if cfg["kind"] != "regression":
        return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORE)
    return (logits[:, 0] - scores)[labels != IGNORE].pow(2).mean()


def train(cfg, weights, data, dtype, blocks=torch_blocks):
    tokens, types, lengths, labels = (torch.tensor(x, dtype=torch.long) for x in data[:4])
    scores = torch.tensor(data[4], dtype=dtype)
    w = {n: torch.tensor(x, dtype=dtype, requires_grad=True) for n, x in weights.items()}
    optimizer = torch.optim.AdamW([
        {"params": [p for p in w.values() if p.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in w.values() if p.dim() < 2], "weight_decay": 0.0},
    ], lr=LEARNING_RATE, betas=BETAS, eps=1e-8, foreach=False)
    run = {"loss": [], "grad_norm": []}
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        logits = forward(cfg, w, tokens[step], types[step], lengths[step], blocks)
        loss = loss_of(cfg, logits, labels[step], scores[step])
        loss.backward()
        if step == 0:
            run["logits"] = logits.detach().numpy().copy()
            run["grad"] = {n: p.grad.numpy().copy() for n, p in w.items()}
        norm = torch.nn.utils.clip_grad_norm_(list(w.values()), GRAD_CLIP)
        optimizer.step()
        run["loss"].append(loss.item())
        run["grad_norm"].append(norm.item())
    return run


def compare(run, plain):
    """Fails unless the blocks of PyTorch and those from the equations agree in scores, gradients and losses."""
    apart = max([np.abs(run["logits"] - plain["logits"]).max()] + [np.abs(g - plain["grad"][n]).max() for n, g in run["grad"].items()])
    losses = np.abs(np.array(run["loss"]) - plain["loss"]).max()
    print(f"  nn.TransformerEncoder against the equations: scores and gradients {apart:.1e}, losses {losses:.1e}")
    assert apart < 1e-13 and losses < 1e-9, "disagrees with nn.TransformerEncoder"


def golden(cfg):
    rng = np.random.default_rng(cfg["seed"])
    weights = initial_weights(cfg, rng)
    data = batches(cfg, rng)
    r64 = train(cfg, weights, data, torch.float64)
    r32 = train(cfg, weights, data, torch.float32)
    plain = train(cfg, weights, data, torch.float64, plain_blocks)
    compare(r64, plain)
    out = dict(zip(("tokens", "types", "lengths", "labels", "scores"), data))
    keys = ["vocab", "d_model", "n_layer", "n_head", "d_ff", "n_position", "n_output", "batch", "seq_len"]
    out["config"] = np.array([cfg[k] for k in keys], np.int32)
    out["loss64"], out["grad_norm64"] = np.array(r64["loss"]), np.array(r64["grad_norm"])
    out["logits"] = r64["logits"].astype(np.float32) if cfg["kind"] == "masked" else r64["logits"]
    for n in weights:
        out["weight." + n] = weights[n]
        out["grad." + n] = r64["grad"][n].astype(np.float32)
    print(f"{cfg['kind']}: loss {r64['loss'][0]:.6f} -> {r64['loss'][-1]:.6f}; "
          f"float32 against float64: {np.abs(np.array(r32['loss']) - r64['loss']).max():.1e}")
    return out


def check(cfg, out):
    """Compares logits and gradients with transformers' implementation in float64."""
    import transformers
    kind = transformers.BertForMaskedLM if cfg["kind"] == "masked" else transformers.BertForSequenceClassification
    net = kind(transformers.BertConfig(
        vocab_size=cfg["vocab"], hidden_size=cfg["d_model"], intermediate_size=cfg["d_ff"], num_hidden_layers=cfg["n_layer"],
        num_attention_heads=cfg["n_head"], max_position_embeddings=cfg["n_position"], num_labels=max(1, cfg["n_output"]),
        hidden_dropout_prob=0, attention_probs_dropout_prob=0, layer_norm_eps=EPS)).double()
    state = {k[7:]: torch.tensor(v, dtype=torch.float64) for k, v in out.items() if k.startswith("weight.")}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(n.startswith("cls.predictions.decoder.") for n in missing), (missing, unexpected)
    net.tie_weights()
    tokens, types, lengths, labels = (torch.tensor(out[k][0], dtype=torch.long) for k in ("tokens", "types", "lengths", "labels"))
    mask = (torch.arange(cfg["seq_len"])[None, :] < lengths[:, None]).long()
    logits = net(input_ids=tokens, token_type_ids=types, attention_mask=mask).logits
    loss_of(cfg, logits, labels, torch.tensor(out["scores"][0])).backward()
    grad = max(np.abs(p.grad.numpy() - out["grad." + n]).max() for n, p in net.named_parameters())
    dlogits = np.abs(logits.detach().numpy() - out["logits"]).max()
    print(f"  transformers {transformers.__version__}: logits {dlogits:.1e}, gradient {grad:.1e}")
    assert dlogits < (1e-6 if cfg["kind"] == "masked" else 1e-9) and grad < 1e-6, "disagrees with transformers"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with transformers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = os.path.dirname(os.path.abspath(__file__))
    for cfg in (ENCODER, REGRESSION, MASKED):
        out = golden(cfg)
        if args.check:
            check(cfg, out)
        path = os.path.join(folder, cfg["kind"] + ".npz")
        np.savez_compressed(path, **{k: np.ascontiguousarray(v) for k, v in out.items()})
        print(f"  {os.path.basename(path)}: {len(out)} arrays, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
