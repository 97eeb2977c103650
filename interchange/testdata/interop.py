"""Holds what Sparrow exported against what transformers computed: python interop.py FORMAT PAIRS, where each pair is a folder with
golden.json and the export of its model. A line for each has the largest difference."""
import json, os, sys
import numpy as np


def batch(golden):
    rows = golden["rows"]
    width = max(map(len, rows))
    return {
        "input_ids": np.array([r + [0] * (width - len(r)) for r in rows]),
        "attention_mask": np.array([[1] * len(r) + [0] * (width - len(r)) for r in rows]),
        "token_type_ids": np.array(golden["types"] or np.zeros((len(rows), width), int)),
    }


def run_onnx(folder, golden):
    import onnxruntime
    session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    if golden["output"] == "images":
        _, channels, side, _ = session.get_inputs()[0].shape
        pixels = np.array(golden["pixels"], np.float32).reshape(-1, side, side, channels).transpose(0, 3, 1, 2)
        return session.run(None, {"pixel_values": pixels})[0]
    return session.run(None, {k: v.astype(np.int64) for k, v in batch(golden).items() if k in names})[0]


def run_model(model, golden):
    import torch
    with torch.no_grad():
        if golden["output"] == "images":
            side, channels = model.config.image_size, model.config.num_channels
            pixels = torch.tensor(golden["pixels"]).reshape(-1, side, side, channels).permute(0, 3, 1, 2)
            return model(pixel_values=pixels).logits.numpy()
        args = {k: torch.tensor(v) for k, v in batch(golden).items()}
        if golden["types"] is None:
            del args["token_type_ids"]
        y = model(**args)
    return (y.last_hidden_state if golden["output"] == "states" else y.logits).numpy()


def run_factored(folder, golden):
    import loader  # of docs/factored.md
    model = loader.load(folder)
    assert any(type(m).__name__ == "Sequential" for m in model.modules()) or model.config.model_type in ("gpt2", "vit")
    return run_model(model, golden)


def run_hf(folder, golden):
    import transformers
    config = transformers.AutoConfig.from_pretrained(folder)
    return run_model(getattr(transformers, config.architectures[0]).from_pretrained(folder).eval(), golden)


def difference(got, golden):
    want = np.array(golden["values"]).reshape(golden["shape"])
    if want.ndim == 2:
        return abs(got - want).max()
    return max(abs(got[i, :len(r)] - want[i, :len(r)]).max() for i, r in enumerate(golden["rows"]))


run = {"onnx": run_onnx, "hf": run_hf, "factored": run_factored}[sys.argv[1]]
for line in open(sys.argv[2]):
    source, folder = line.split()
    golden = json.load(open(os.path.join(source, "golden.json")))
    print(os.path.basename(source), difference(run(folder, golden), golden))
