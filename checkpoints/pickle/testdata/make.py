"""Makes this folder's files: pip install torch safetensors; python make.py. Made with torch 2.15.0, safetensors 0.8.0."""
import json
import os
import pickle
from collections import OrderedDict

import torch
from safetensors.torch import save_file

torch.manual_seed(1)
x = torch.randn(4, 6)
shared = torch.randn(3, 4)
state = OrderedDict(
    f32=x,
    f16=x.to(torch.float16),
    bf16=x.to(torch.bfloat16),
    f64=x.to(torch.float64),
    i64=torch.arange(-3, 3),
    i32=torch.tensor([-7, 8], dtype=torch.int32),
    i16=torch.tensor([-300], dtype=torch.int16),
    i8=torch.tensor([[-128, 127, 0]], dtype=torch.int8),
    u8=torch.tensor([255, 0], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    transposed=x.t(),
    cut=x[1:3, 2:5],
    every=x[:, ::2],
    permuted=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    tied_a=shared,
    tied_b=shared,
    parameter=torch.nn.Parameter(torch.randn(5)),
)
state._metadata = OrderedDict([("", {"version": 1}), ("layer", {"version": 2})])
torch.save(state, "zip.bin")
torch.save(state, "stream.bin", _use_new_zipfile_serialization=False)
torch.save(dict(state), "protocol4.bin", pickle_protocol=4)

# The same as safetensors, which has only row-major tensors and no shared ones.
save_file({name: t.detach().contiguous().clone() for name, t in state.items()}, "truth.safetensors")

# A module's state, as transformers saves it.
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.BatchNorm1d(2))
torch.save(model.state_dict(), "module.bin")
save_file(model.state_dict(), "module.safetensors")


class Hostile:
    def __reduce__(self):
        return os.system, ("touch executed",)


torch.save({"a": x, "b": Hostile()}, "hostile.bin")
torch.save({"a": x, "b": 1}, "number.bin")
torch.save([x], "list.bin")
