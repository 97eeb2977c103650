"""Makes this folder's files with numpy as llama2.c's export.py does: pip install numpy safetensors; python make.py."""
import struct

import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(1)
dim, hidden, layers, heads, kv_heads, vocab, length = 8, 12, 2, 2, 1, 5, 6
kv = dim // heads * kv_heads
draw = lambda *shape: rng.normal(0, 0.3, shape).astype(np.float32)

truth = {"tok_embeddings.weight": draw(vocab, dim), "norm.weight": draw(dim), "output.weight": draw(vocab, dim)}
shapes = {
    "attention_norm": (dim,), "attention.wq": (dim, dim), "attention.wk": (kv, dim), "attention.wv": (kv, dim),
    "attention.wo": (dim, dim), "ffn_norm": (dim,), "feed_forward.w1": (hidden, dim), "feed_forward.w2": (dim, hidden),
    "feed_forward.w3": (hidden, dim),
}
for i in range(layers):
    for name, shape in shapes.items():
        truth[f"layers.{i}.{name}.weight"] = draw(*shape)


def stack(name):
    return b"".join(truth[f"layers.{i}.{name}.weight"].tobytes() for i in range(layers))


def ints(v):
    return struct.pack("iiiiiii", dim, hidden, layers, heads, kv_heads, v, length)


# legacy.bin has weights of its own for the output, tied.bin and version1.bin don't.
def legacy(v, output):
    return (
        ints(v) + truth["tok_embeddings.weight"].tobytes() + b"".join(stack(n) for n in shapes) + truth["norm.weight"].tobytes()
        + bytes(2 * length * (dim // heads // 2) * 4) + output
    )


open("legacy.bin", "wb").write(legacy(-vocab, truth["output.weight"].tobytes()))
open("tied.bin", "wb").write(legacy(vocab, b""))
matrices = [n for n in shapes if not n.endswith("norm")]
norms = stack("attention_norm") + stack("ffn_norm") + truth["norm.weight"].tobytes()
head = struct.pack("Ii", 0x616B3432, 1) + ints(vocab) + b"\1"
open("version1.bin", "wb").write(
    head.ljust(256, b"\0") + norms + truth["tok_embeddings.weight"].tobytes() + b"".join(stack(n) for n in matrices)
)

# version2.bin: 8 bits in groups of 4, with the output's own weights.
rounded = {}


def quantize(name):
    w = truth[name]
    groups = w.reshape(-1, 4)
    scale = (np.abs(groups).max(1) / 127).astype(np.float32)
    codes = np.round(groups / scale[:, None]).astype(np.int8)
    rounded[name] = (codes.astype(np.float32) * scale[:, None]).reshape(w.shape)
    return codes.tobytes() + scale.tobytes()


head = struct.pack("Ii", 0x616B3432, 2) + ints(vocab) + b"\0" + struct.pack("i", 4)
open("version2.bin", "wb").write(
    head.ljust(256, b"\0") + norms + quantize("tok_embeddings.weight")
    + b"".join(quantize(f"layers.{i}.{n}.weight") for n in matrices for i in range(layers)) + quantize("output.weight")
)
save_file(truth, "truth.safetensors")
save_file({n: rounded.get(n, w) for n, w in truth.items()}, "rounded.safetensors")

# A tokenizer, as tokenizer.py exports it.
pieces = [(b"<unk>", 0.0), (b"\n<s>\n", 0.0), (b"<0x00>", 0.0), (b" a", -1.0), ("é".encode(), -2.5)]
with open("tokenizer.bin", "wb") as f:
    f.write(struct.pack("I", max(len(p) for p, _ in pieces)))
    for p, score in pieces:
        f.write(struct.pack("fI", score, len(p)) + p)
