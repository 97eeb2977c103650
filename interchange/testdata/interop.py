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
    return session.run(None, {k: v.astype(np.int64) for k, v in batch(golden).items() if k in names})[0]


def difference(got, golden):
    want = np.array(golden["values"]).reshape(golden["shape"])
    if want.ndim == 2:
        return abs(got - want).max()
    return max(abs(got[i, :len(r)] - want[i, :len(r)]).max() for i, r in enumerate(golden["rows"]))


run = {"onnx": run_onnx}[sys.argv[1]]
for line in open(sys.argv[2]):
    source, folder = line.split()
    golden = json.load(open(os.path.join(source, "golden.json")))
    print(os.path.basename(source), difference(run(folder, golden), golden))
