"""Makes this folder's files: pip install torch safetensors; python make.py. Made with torch 2.15.0, safetensors 0.8.0."""
import json

import torch
from safetensors.torch import save_file

torch.manual_seed(1)
x = torch.randn(3, 5)
# Ties, subnormal halves, the largest half, zeros of both signs.
x[0] = torch.tensor([1.0 + 2**-11, 2**-25, 65504.0, -0.0, 1.0 + 3 * 2**-11])
tensors = {
    "f32": x,
    "f16": x.to(torch.float16),
    "bf16": x.to(torch.bfloat16),
    "f64": x.to(torch.float64),
    "i8": torch.tensor([[-128, 127, 0]], dtype=torch.int8),
    "i64": torch.arange(4),
    "i32": torch.tensor([-7], dtype=torch.int32),
    "u8": torch.tensor([255, 0], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    'odd "name" <é>\\': torch.tensor([1.0]),
}
save_file(tensors, "types.safetensors", metadata={"format": "pt"})

truth = {}
for name, t in tensors.items():
    values = None
    if t.dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8):
        values = [b & 0xFFFFFFFF for b in t.to(torch.float32).flatten().view(torch.int32).tolist()]
    truth[name] = {"type": str(t.dtype), "shape": list(t.shape), "bits": values}
json.dump(truth, open("types.json", "w"), indent=1)

# Two shards with their index, as transformers writes them.
save_file({"a": x, "b": x[0].clone()}, "model-00001-of-00002.safetensors", metadata={"format": "pt"})
save_file({"c": x[1].clone()}, "model-00002-of-00002.safetensors", metadata={"format": "pt"})
json.dump(
    {
        "metadata": {"total_size": 100},
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00001-of-00002.safetensors",
            "c": "model-00002-of-00002.safetensors",
        },
    },
    open("model.safetensors.index.json", "w"),
    indent=2,
)
