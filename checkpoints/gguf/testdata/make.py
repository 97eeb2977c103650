"""Makes this folder's files: pip install numpy gguf; python make.py. Made with numpy 2.4.6, gguf 0.19.0."""
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES

rng = np.random.default_rng(1)

# types.gguf: two rows of 256 of every type that is read, random codes under usual scales; types.f32 has what the gguf
# package makes of them, one after the other.
halves = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
w = GGUFWriter("types.gguf", "test")
truth = []
for t in [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]:
    if t in halves:
        block, size = GGML_QUANT_SIZES[t]
        raw = rng.integers(0, 256, (2, 256 // block, size), dtype=np.uint8)
        for at in halves[t]:
            d = rng.normal(0, 0.01, raw.shape[:2]).astype(np.float16)
            raw[:, :, at : at + 2] = d.view(np.uint8).reshape(*raw.shape[:2], 2)
        raw = raw.reshape(2, -1)
        truth.append(quants.dequantize(raw, t))
    else:
        raw = quants.quantize(rng.normal(0, 1, (2, 256)).astype(np.float32), t)
        truth.append(quants.dequantize(raw, t))
    if t in (T.F32, T.F16):
        w.add_tensor(t.name, raw)
    else:
        w.add_tensor(t.name, raw.view(np.uint8), raw_dtype=t)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
np.concatenate([x.reshape(-1, 256) for x in truth]).astype("<f4").tofile("types.f32")

# written.gguf: one tensor as F32 and as each type whose bytes our writer's must equal, and metadata of all types.
x = rng.normal(0, 0.05, (6, 128)).astype(np.float32)
x[1, :32] = 0
x[1, 32:64] = np.float32(1e-9)  # scales that a half makes 0
x[1, 64:96] = -np.arange(32)  # ties
x[1, 96:] = 0.5
x[2, 0], x[2, 32] = 3, -3  # extremes of both signs
x[3, ::2] *= -1000
x[4, :] = np.linspace(-127, 127, 128)
w = GGUFWriter("written.gguf", "llama")
w.add_uint8("a.uint8", 255)
w.add_int8("a.int8", -128)
w.add_uint16("a.uint16", 65535)
w.add_int16("a.int16", -32768)
w.add_uint32("a.uint32", 4294967295)
w.add_int32("a.int32", -2147483648)
w.add_float32("a.float32", 0.1)
w.add_uint64("a.uint64", 2**64 - 1)
w.add_int64("a.int64", -(2**63))
w.add_float64("a.float64", 0.1)
w.add_bool("a.bool", True)
w.add_string("a.string", "Grüße ▁")
w.add_array("a.strings", ["", "a", "▁b"])
w.add_array("a.int32s", [1, -2, 3])
w.add_array("a.float32s", [0.5, -1.5])
w.add_array("a.bools", [True, False])
w.add_array("a.nested", [[1, 2], [3]])
w.add_tensor("x.f32", x)
w.add_tensor("x.f16", quants.quantize(x, T.F16))
for t in [T.BF16, T.Q8_0, T.Q4_0, T.Q5_0]:
    w.add_tensor("x." + t.name.lower(), quants.quantize(x, t).view(np.uint8), raw_dtype=t)
w.add_tensor("bias", x[0, :3].copy())
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
