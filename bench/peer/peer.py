"""The PyTorch side of the benchmark: reads one JSON object a line, answers one a line.

    {"cmd": "info"}                                versions, BLAS, instruction set
    {"cmd": "load", "config": {...}, "threads": N, "inputs": [...], "targets": [...], "weights": "model.npz"}
    {"cmd": "step", "steps": N}                    N training steps: seconds and losses
    {"cmd": "decode", "tokens": N, "prompt": [..]} greedy decoding with a key/value cache
    {"cmd": "gemm", "m": .., "n": .., "k": .., "ta": false, "tb": true, "repeat": N}
                                                   seconds of each product; with "batch": B, of B products at once
    {"cmd": "layer", "weights": "model.npz", "layer": {...}}
                                                   one SLTrain layer: x, factors, values, their places, rows with a target
    {"cmd": "gru", "weights": "model.npz", "gru": {...}}
                                                   one bidirectional nn.GRU: x, its parameters, rows with a target
    {"cmd": "pass", "repeat": N}                   forward and backward passes of that layer: seconds, loss and the
                                                   squared norms of the gradients of x and of the layer's parameters
    {"cmd": "svd", "weights": "model.npz"}         numpy's full decomposition of "matrix" in float64: seconds, singular values
    {"cmd": "images", "images": {...}, "weights": "model.npz"}
                                                   FaViT and a batch: weights under their names, pixels, labels
    {"cmd": "images-step", "steps": N}             N training steps of it: seconds and loss
    {"cmd": "images-infer", "steps": N}            N times the scores of the batch: seconds
    {"cmd": "sentences", "config": {...}, "token_ids": [[...]], "dir": FOLDER, "engine": "torch" | "onnx" | "onnx-int8"}
                                                   a sentence encoder (sentences.py): token ids of texts, the longest
                                                   first, and a folder of Hugging Face's kind
    {"cmd": "embed", "repeat": N}                  N times the vectors of all texts: seconds, those of the first and the last
    {"cmd": "rss"}                                 resident bytes: peak, now, and before any network
    {"cmd": "quit"}

load and images may carry "precision": "bfloat16" (autocast) and "compile": true (torch.compile of forward pass and loss).
Any command may carry "threads". A failed command answers {"error": "..."} and
the process goes on.

`config`: vocab, d_model, n_layer, n_head, n_kv_head (default n_head), head_dim
(default d_model / n_head), q_rank (of MFA; default: one query matrix), d_ff,
seq_len, batch, tied (default false), learning_rate (default 1e-3). A kind
"encoder" or "lama" (text.py) has classes, and one target a text. `inputs`
and `targets` are token ids of shape [N, batch, seq_len] for N >= 1 batches,
nested or flat; or `data` names an npz that holds both. Steps walk through the
batches in a cycle; target -1 is ignored. `weights` names an npz with the state
dict's names, each with or without the prefix "weight."; without it the weights
are drawn from N(0, 0.02).
"""

import json
import os
import re
import sys
import time

# The thread pool. PyTorch's wheel has one libgomp under both ATen and MKL, and its default policy (spin for some
# milliseconds, then sleep) is the best one. A step of the decoder of 3.3M parameters, batch 8 x 128, on 2 idle cores
# of an AMD EPYC (Zen 4), best and median of 16: 1 thread 272, 289 ms; 2 threads 154, 165; with OMP_WAIT_POLICY=PASSIVE
# 179, 206; with OMP_PROC_BIND=true 151, 167. ACTIVE (159, 173) is no faster, and its second thread then burns a whole
# core while this process waits for its next command, which is when the other side is measured: so it is removed.
# A spinning pool collapses when other programs hold both cores (5 s a step, PASSIVE 1.1 s): measure on an idle machine,
# or set PASSIVE outside and know that on an idle one it costs PyTorch a sixth to a quarter.
# A PyTorch over a pthread OpenBLAS has two pools and wants OMP_WAIT_POLICY=PASSIVE: other settings are left alone.
if os.environ.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
    del os.environ["OMP_WAIT_POLICY"]

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

IGNORE = -1


class RMSNorm(nn.Module):
    def __init__(self, d, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotate(x, cos, sin):
    """Rotary embedding of x [B,H,T,K] with cos, sin [T,K/2]: element j pairs with j + K/2."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def head_dim(cfg):
    return cfg.get("head_dim") or cfg["d_model"] // cfg["n_head"]


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d, self.head_dim = cfg["d_model"], head_dim(cfg)
        self.gqa = cfg["n_kv_head"] != cfg["n_head"]
        width, rank = cfg["n_head"] * self.head_dim, cfg.get("q_rank")
        if rank:  # multi-matrix factorization attention: queries of two matrices, with a norm between them
            self.q_proj, self.inter_norm = nn.Linear(d, rank, bias=False), RMSNorm(rank)
            self.wq = nn.Linear(rank, width, bias=False)
        else:
            self.q_proj = nn.Linear(d, width, bias=False)
        self.mfa = bool(rank)
        self.k_proj = nn.Linear(d, cfg["n_kv_head"] * self.head_dim, bias=False)
        self.v_proj = nn.Linear(d, cfg["n_kv_head"] * self.head_dim, bias=False)
        self.o_proj = nn.Linear(width, d, bias=False)

    def forward(self, x, cos, sin, cache=None, start=0):
        b, t, _ = x.shape
        q = self.q_proj(x)
        if self.mfa:
            q = self.wq(self.inter_norm(q))
        q = q.view(b, t, -1, self.head_dim).transpose(1, 2)  # [B,H,T,K]
        k = self.k_proj(x).view(b, t, -1, self.head_dim).transpose(1, 2)  # [B,G,T,K]
        v = self.v_proj(x).view(b, t, -1, self.head_dim).transpose(1, 2)  # [B,G,T,K]
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            cache[0][:, :, start:start + t] = k
            cache[1][:, :, start:start + t] = v
            k, v = cache[0][:, :, :start + t], cache[1][:, :, :start + t]
        # For many heads on one key head this is as fast as expanding keys and values first, and faster than repeating them.
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1, enable_gqa=self.gqa)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.gate_proj = nn.Linear(cfg["d_model"], cfg["d_ff"], bias=False)
        self.up_proj = nn.Linear(cfg["d_model"], cfg["d_ff"], bias=False)
        self.down_proj = nn.Linear(cfg["d_ff"], cfg["d_model"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.input_layernorm = RMSNorm(cfg["d_model"])
        self.self_attn = Attention(cfg)
        self.post_attention_layernorm = RMSNorm(cfg["d_model"])
        self.mlp = MLP(cfg)

    def forward(self, x, *position):
        x = x + self.self_attn(self.input_layernorm(x), *position)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """LLaMA-style decoder with Hugging Face's parameter names."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(cfg["vocab"], cfg["d_model"])
        self.model.layers = nn.ModuleList(Block(cfg) for _ in range(cfg["n_layer"]))
        self.model.norm = RMSNorm(cfg["d_model"])
        self.lm_head = nn.Linear(cfg["d_model"], cfg["vocab"], bias=False)
        for p in self.parameters():
            if p.dim() >= 2:
                nn.init.normal_(p, std=0.02)
        if cfg["tied"]:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.set_positions(cfg["seq_len"])

    def set_positions(self, n):
        """Tabulates cos and sin [n, K/2] of the rotary angles."""
        k = head_dim(self.cfg)
        frequency = 10000.0 ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
        angle = torch.arange(n, dtype=torch.float64)[:, None] * frequency
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def forward(self, ids, caches=None, start=0):
        """Logits [B,T,V] of ids [B,T] that stand at positions start, start+1, ..."""
        end = start + ids.shape[1]
        cos, sin = self.cos[start:end], self.sin[start:end]
        x = self.model.embed_tokens(ids)
        for i, block in enumerate(self.model.layers):
            x = block(x, cos, sin, caches[i] if caches else None, start)
        return self.lm_head(self.model.norm(x))

    def load(self, path):
        """Fills every parameter from an npz; a missing tensor or a wrong shape is an error."""
        with np.load(path) as f:
            state = {k.removeprefix("weight."): torch.from_numpy(f[k])
                     for k in f.files if k.startswith(("model.", "lm_head.", "weight."))}
        if self.cfg["tied"]:
            state["lm_head.weight"] = state["model.embed_tokens.weight"]
        self.load_state_dict(state)


def tokens(value, shape):
    ids = torch.as_tensor(np.asarray(value), dtype=torch.long)
    if ids.numel() == 0 or ids.numel() % (shape[0] * shape[1]):
        raise ValueError(f"{ids.numel()} tokens are not whole batches of {shape[0]} x {shape[1]}")
    return ids.view(-1, *shape)


def resident(key):
    """Bytes of a field of /proc/self/status: VmHWM is the peak, VmRSS the present. None where there is no such file."""
    if not os.path.exists("/proc/self/status"):
        return None
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key + ":"))


def blas():
    """Which library multiplies matrices: as the build says, "mkl" or "open" (OpenBLAS) for instance."""
    named = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return named[1] if named else "mkl" if torch.backends.mkl.is_available() else "unknown"


class Peer:
    """Holds the loaded network, its optimizer and its batches between commands."""

    def __init__(self):
        # A tiny network takes one step, because the optimizer's first one imports another 180 MB of PyTorch.
        tiny = dict(vocab=2, d_model=2, n_layer=1, n_head=1, d_ff=2, seq_len=2, batch=1)
        self.load({"config": tiny, "inputs": [0, 1], "targets": [1, 0]})
        self.train_step()
        self.net = self.forward = self.engine = None
        self.base_bytes = resident("VmRSS")

    def info(self, request):
        return {
            "peer_name": "torch", "peer_version": torch.__version__, "python": sys.version.split()[0],
            "blas": blas(),
            "libraries": [s.strip(" -") for s in torch.__config__.show().splitlines()
                          if s.startswith("  - Intel") or "OpenBLAS" in s[:40]],
            "cpu_capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
            "environment": {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "GOMP_", "MKL_", "KMP_"))},
        }

    def load(self, request):
        cfg = dict(request["config"])
        cfg["n_kv_head"] = cfg.get("n_kv_head") or cfg["n_head"]
        cfg.setdefault("tied", False)
        torch.manual_seed(1)
        if cfg.get("classes"):
            import text
            net = text.NETWORKS[cfg["kind"]](cfg)
        else:
            net = Decoder(cfg)
        if request.get("weights"):
            net.load(request["weights"])
        data = request
        if request.get("data"):
            with np.load(request["data"]) as f:
                data = {k: f[k] for k in ("inputs", "targets")}
        shape = (cfg["batch"], cfg["seq_len"])
        self.inputs = tokens(data["inputs"], shape)
        self.targets = tokens(data["targets"], (cfg["batch"], 1) if cfg.get("classes") else shape)
        if len(self.inputs) != len(self.targets):
            raise ValueError(f"load: {len(self.inputs)} batches of inputs, {len(self.targets)} of targets")
        self.train(net, request, cfg.get("learning_rate", 1e-3))
        return {"parameters": sum(p.numel() for p in self.parameters), "batches": len(self.inputs)}

    def train(self, net, request, learning_rate=1e-3):
        self.net, self.step_number = net, 0
        self.parameters = list(net.parameters())
        self.optimizer = torch.optim.AdamW([
            {"params": [p for p in self.parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in self.parameters if p.dim() < 2], "weight_decay": 0.0},
        ], lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, fused=True)

        bfloat16 = request.get("precision") == "bfloat16"

        def loss_of(inputs, targets):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
                return F.cross_entropy(net(inputs).flatten(0, -2), targets.flatten(), ignore_index=IGNORE)
        self.loss_of = torch.compile(loss_of) if request.get("compile") else loss_of

    def train_step(self):
        i = self.step_number % len(self.inputs)
        self.step_number += 1
        loss = self.loss_of(self.inputs[i], self.targets[i])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item()

    def step(self, request):
        seconds, losses = [], []
        for _ in range(request.get("steps", 1)):
            start = time.perf_counter()
            losses.append(self.train_step())
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "loss": losses[-1], "losses": losses}

    def decode(self, request):
        prompt = request.get("prompt") or [0]
        end = len(prompt) + request["tokens"]
        if end > len(self.net.cos):
            self.net.set_positions(end)  # not in inference mode: training must be able to use the tables
        with torch.inference_mode():
            return self.generate(prompt, end)

    def generate(self, prompt, end):
        cfg = self.net.cfg
        shape = (1, cfg["n_kv_head"], end, head_dim(cfg))
        caches = [(torch.empty(shape), torch.empty(shape)) for _ in range(cfg["n_layer"])]
        start = time.perf_counter()
        token = self.net(torch.tensor([prompt]), caches)[0, -1].argmax()
        prefill = time.perf_counter() - start
        generated, seconds = [token.item()], []
        for position in range(len(prompt), end - 1):
            start = time.perf_counter()
            token = self.net(token.view(1, 1), caches, position)[0, -1].argmax()
            generated.append(token.item())
            seconds.append(time.perf_counter() - start)
        return {"generated": generated, "prefill_seconds": prefill, "seconds": seconds,
                "tokens_per_second": len(seconds) / sum(seconds) if seconds else None}

    def gemm(self, request):
        m, n, k = request["m"], request["n"], request["k"]
        batch = () if request.get("batch", 1) == 1 else (request["batch"],)
        product = torch.bmm if batch else torch.mm
        a = torch.randn(*batch, k, m).mT if request.get("ta") else torch.randn(*batch, m, k)
        b = torch.randn(*batch, n, k).mT if request.get("tb") else torch.randn(*batch, k, n)
        c = torch.empty(*batch, m, n)
        seconds = []
        for i in range(3 + request.get("repeat", 10)):
            start = time.perf_counter()
            product(a, b, out=c)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds[3:]}  # the first three warm the caches and the pool

    def layer(self, request):
        with np.load(request["weights"]) as f:
            data = {k: torch.from_numpy(f[k]) for k in f.files}
        names = ("x", "layer.down.weight", "layer.up.weight", "layer.sparse.values")
        x, down, up, values = self.factors = [data[k].requires_grad_() for k in names]
        places, self.rows, self.row_targets = (data[k].long() for k in ("places", "rows", "targets"))
        factor = request["layer"]["alpha"] / request["layer"]["rank"]

        def forward():
            """y = x Wᵀ with W = alpha/rank B A + S, S added in place by index_add: the fastest of index_add and scatter_add."""
            return F.linear(x, (up @ (factor * down)).view(-1).index_add_(0, places, values).view(len(up), -1))
        self.forward = forward
        return {}

    def gru(self, request):
        cfg = request["gru"]
        with np.load(request["weights"]) as f:
            data = {k: torch.from_numpy(f[k]) for k in f.files}
        net = nn.GRU(cfg["input"], cfg["hidden"], batch_first=True, bidirectional=True)
        x = data["x"].view(cfg["batch"], cfg["seq_len"], -1).requires_grad_()
        with torch.no_grad():
            for p, suffix, reverse in ((p, k[: k.index("_l0")], k.endswith("_reverse")) for k, p in net.named_parameters()):
                kind, side = suffix.split("_")  # weight_ih, say
                p.copy_(data[f"gru.{'reverse' if reverse else 'forward'}.{side}.{kind}"])
        self.factors = [x, *net.parameters()]
        self.rows, self.row_targets = data["rows"].long(), data["targets"].long()
        self.forward = lambda: net(x)[0].flatten(0, 1)
        return {}

    def layer_pass(self, request):
        if self.forward is None:
            raise ValueError("pass: no layer, send layer or gru first")
        seconds = []
        for _ in range(request.get("repeat", 1)):
            start = time.perf_counter()
            for p in self.factors:
                p.grad = None
            loss = F.cross_entropy(self.forward()[self.rows], self.row_targets, reduction="sum")
            loss.backward()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "loss": loss.item(), "norms": [p.grad.double().square().sum().item() for p in self.factors]}

    def svd(self, request):
        with np.load(request["weights"]) as f:
            a = f["matrix"].astype(np.float64)
        start = time.perf_counter()
        s = np.linalg.svd(a, full_matrices=False)[1]
        seconds = [time.perf_counter() - start]
        lapack = np.show_config(mode="dicts")["Build Dependencies"]["lapack"]
        return {"seconds": seconds, "values": s.tolist(), "peer_name": "numpy", "peer_version": np.__version__,
                "blas": f"{lapack['name']} {lapack['version']}"}

    def images(self, request):
        from favit import FaViT
        cfg = request["images"]
        net = FaViT(cfg)
        with np.load(request["weights"]) as f:
            data = {k: torch.from_numpy(f[k]) for k in f.files}
        shape = (1, cfg["batch"], cfg["size"], cfg["size"], cfg["channels"])
        self.inputs, self.targets = data.pop("pixels").view(shape), data.pop("labels").long()[None]
        net.load_state_dict(data)
        self.train(net, request)
        return {"parameters": sum(p.numel() for p in self.parameters)}

    def infer(self, request):
        seconds = []
        with torch.inference_mode():
            for _ in range(request.get("steps", 1)):
                start = time.perf_counter()
                self.net(self.inputs[0])
                seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}

    def sentences(self, request):
        import sentences
        self.engine = sentences.load(request)
        return {}

    def embed(self, request):
        import sentences
        return sentences.embed(self.engine, request.get("repeat", 1))

    def rss(self, request):
        # Code alone is resident with 0.7 GB in a CUDA build and about 0.2 GB in a CPU build: compare
        # bytes - base_bytes where the network is meant, and bytes where the whole process is.
        return {"bytes": resident("VmHWM"), "current_bytes": resident("VmRSS"), "base_bytes": self.base_bytes}

    def answer(self, request):
        commands = {"info": self.info, "load": self.load, "step": self.step, "decode": self.decode,
                    "gemm": self.gemm, "layer": self.layer, "gru": self.gru, "pass": self.layer_pass, "svd": self.svd, "images": self.images,
                    "images-step": self.step, "images-infer": self.infer, "sentences": self.sentences,
                    "embed": self.embed, "rss": self.rss}
        cmd = request.get("cmd")
        if cmd not in commands:
            raise ValueError(f"unknown cmd {cmd!r}, want one of {', '.join(commands)}, quit")
        if cmd == "embed" and self.engine is None:
            raise ValueError("embed: no texts, send sentences first")
        if cmd in ("step", "decode") and self.net is None:
            raise ValueError(f"{cmd}: no network, send load first")
        if "threads" in request:
            torch.set_num_threads(request["threads"])
        return commands[cmd](request)


def main():
    # Answers own standard output; anything a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = Peer()
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            if request.get("cmd") == "quit":
                break
            reply = json.dumps(peer.answer(request), allow_nan=False)
        except Exception as e:  # a bad request must not end the run
            reply = json.dumps({"error": f"{type(e).__name__}: {e}"})
        print(reply, file=answers, flush=True)


if __name__ == "__main__":
    main()
