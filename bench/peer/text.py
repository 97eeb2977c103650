"""Classifiers of texts in PyTorch: a BERT-style encoder and LAMA over a bidirectional GRU, without padding or dropout."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def arrays(path):
    with np.load(path) as f:
        return {k: torch.from_numpy(f[k]) for k in f.files}


class EncoderLayer(nn.Module):
    """Post-norm (Vaswani et al. 2017); one product makes queries, keys and values."""

    def __init__(self, cfg):
        super().__init__()
        d, self.heads = cfg["d_model"], cfg["n_head"]
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.attention_norm, self.output_norm = nn.LayerNorm(d, eps=1e-12), nn.LayerNorm(d, eps=1e-12)
        self.up, self.down = nn.Linear(d, cfg["d_ff"]), nn.Linear(cfg["d_ff"], d)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B,H,T,K] each
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.out(y))
        return self.output_norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    """BERT (Devlin et al. 2018) with a pooler over the first token; all tokens are of type 0."""

    def __init__(self, cfg):
        super().__init__()
        d = cfg["d_model"]
        self.words, self.positions, self.types = (nn.Embedding(n, d) for n in (cfg["vocab"], cfg["seq_len"], 2))
        self.norm = nn.LayerNorm(d, eps=1e-12)
        self.layers = nn.ModuleList(EncoderLayer(cfg) for _ in range(cfg["n_layer"]))
        self.pooler, self.classifier = nn.Linear(d, d), nn.Linear(d, cfg["classes"])

    def forward(self, ids):
        """Scores [B, C] of ids [B, T]."""
        x = self.norm(self.words(ids) + (self.positions.weight[: ids.shape[1]] + self.types.weight[0]))
        for layer in self.layers:
            x = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))

    def load(self, path):
        """Fills the parameters from an npz with Hugging Face's names."""
        data = arrays(path)
        state = {}

        def take(name, *of):
            for part in ("weight", "bias"):
                if f"{of[0]}.{part}" in data:
                    state[f"{name}.{part}"] = torch.cat([data.pop(f"{o}.{part}") for o in of])
        embed = "bert.embeddings."
        take("words", embed + "word_embeddings")
        take("positions", embed + "position_embeddings")
        take("types", embed + "token_type_embeddings")
        take("norm", embed + "LayerNorm")
        for i in range(len(self.layers)):
            ours, theirs = f"layers.{i}.", f"bert.encoder.layer.{i}."
            take(ours + "qkv", *(theirs + "attention.self." + k for k in ("query", "key", "value")))
            take(ours + "out", theirs + "attention.output.dense")
            take(ours + "attention_norm", theirs + "attention.output.LayerNorm")
            take(ours + "up", theirs + "intermediate.dense")
            take(ours + "down", theirs + "output.dense")
            take(ours + "output_norm", theirs + "output.LayerNorm")
        take("pooler", "bert.pooler.dense")
        take("classifier", "classifier")
        if data:
            raise ValueError(f"load: unknown tensors {sorted(data)}")
        self.load_state_dict(state)


class LAMA(nn.Module):
    """Mehta, Rangwala and Ramakrishnan (2019): m heads of rank one against a learned context, over GRU states."""

    def __init__(self, cfg):
        super().__init__()
        h, m = cfg["hidden"], cfg["n_head"]
        self.embed = nn.Embedding(cfg["vocab"], cfg["d_model"])
        self.gru = nn.GRU(cfg["d_model"], h, batch_first=True, bidirectional=True)
        self.annotation = nn.Linear(2 * h, 2 * h)
        self.context = nn.Parameter(torch.empty(1, 2 * h))
        self.p, self.q = nn.Linear(2 * h, m, bias=False), nn.Linear(2 * h, m, bias=False)
        self.out = nn.Linear(2 * h * m, cfg["classes"])

    def forward(self, ids):
        """Scores [B, C] of ids [B, T]."""
        states = self.gru(self.embed(ids))[0]                                       # [B,T,2H]
        u = torch.tanh(self.annotation(states))
        f = F.normalize(torch.tanh(self.p(self.context) * self.q(u)), dim=-1)       # [B,T,M]
        s = torch.softmax(f, 1).transpose(1, 2) @ states                            # [B,M,2H]
        return self.out(s.flatten(1))

    def load(self, path):
        """Fills the parameters from an npz."""
        data = arrays(path)
        state = {"embed.weight": data.pop("model.embed_tokens.weight"), "context": data.pop("model.pooling.context")}
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            kind, side = name.split("_")
            state[f"gru.{name}_l0"] = data.pop(f"model.gru.forward.{side}.{kind}")
            state[f"gru.{name}_l0_reverse"] = data.pop(f"model.gru.reverse.{side}.{kind}")
        for ours, theirs in (("annotation", "annotation"), ("p", "context_proj"), ("q", "word_proj")):
            for part in ("weight", "bias"):
                if f"model.pooling.{theirs}.{part}" in data:
                    state[f"{ours}.{part}"] = data.pop(f"model.pooling.{theirs}.{part}")
        for part in ("weight", "bias"):
            state[f"out.{part}"] = data.pop(f"classifier.out.{part}")
        if data:
            raise ValueError(f"load: unknown tensors {sorted(data)}")
        self.load_state_dict(state)


NETWORKS = {"encoder": Encoder, "lama": LAMA}
