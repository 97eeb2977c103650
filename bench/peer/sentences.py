"""Sentence encoders: the BERT of transformers in PyTorch, and onnxruntime on its export. Texts are padded to a batch's longest."""

import os
import time

import numpy as np
import torch
import transformers


class Sentences(torch.nn.Module):
    """Mean of the states of a text's tokens, of length 1, as sentence-transformers makes it."""

    def __init__(self, folder, attention):
        super().__init__()
        self.bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation=attention).eval()

    def forward(self, ids, mask):
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state  # [B,T,D]
        shares = mask.unsqueeze(-1).to(states.dtype)
        return torch.nn.functional.normalize((states * shares).sum(1) / shares.sum(1), dim=-1)


class Torch:
    name, version = "torch", torch.__version__

    def __init__(self, folder, batches, threads):
        self.net = Sentences(folder, "sdpa")
        self.batches = [(torch.from_numpy(i), torch.from_numpy(m)) for i, m in batches]

    def vectors(self):
        with torch.inference_mode():
            return [self.net(*b).numpy() for b in self.batches]


class ONNX:
    """The faster of the plain export and the one that onnxruntime's own optimizer makes of it, on the middle batch. With integers
    both are quantized dynamically: weights in 8 bits, by tensor and by channel, and what they multiply as it comes."""

    def __init__(self, folder, batches, threads, integers=False):
        import onnxruntime
        from onnxruntime.transformers import optimizer
        self.version, self.batches = onnxruntime.__version__, batches
        plain, fused = os.path.join(folder, "plain.onnx"), os.path.join(folder, "fused.onnx")
        net = Sentences(folder, "eager")  # the attention that the optimizer knows
        config, axes = net.bert.config, {0: "batch", 1: "sequence"}
        example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in range(2))
        torch.onnx.export(net, example, plain, input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_axes={"ids": axes, "mask": axes}, opset_version=17, dynamo=False)
        better = optimizer.optimize_model(plain, model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size)
        better.save_model_to_file(fused)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        best = float("inf")
        files = [("plain", plain), ("optimised", fused)]
        if integers:
            import onnx
            from onnxruntime.quantization import QuantType, quantize_dynamic
            for kind, path in files[:]:
                for channels in (False, True):
                    quantized = path.replace(".onnx", f"-int8-{channels}.onnx")
                    quantize_dynamic(path, quantized, weight_type=QuantType.QInt8, per_channel=channels,
                                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
                    files.append((f"{kind}, int8 by {'channel' if channels else 'tensor'}", quantized))
            files = files[2:]
        for kind, path in files:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            took = float("inf")
            for _ in range(4):
                start = time.perf_counter()
                self.run(session, batches[len(batches) // 2])
                took = min(took, time.perf_counter() - start)
            if took < best:
                best, self.session, self.name = took, session, "onnxruntime, " + kind

    def run(self, session, batch):
        return session.run(None, {"ids": batch[0], "mask": batch[1]})[0]

    def vectors(self):
        return [self.run(self.session, b) for b in self.batches]


def load(request):
    texts, size = request["token_ids"], request["config"]["batch"]
    batches = []
    for first in range(0, len(texts), size):
        some = texts[first:first + size]
        ids, mask = (np.zeros((len(some), max(map(len, some))), np.int64) for _ in range(2))
        for row, text in enumerate(some):
            ids[row, :len(text)], mask[row, :len(text)] = text, 1
        batches.append((ids, mask))
    if request["engine"] == "torch":
        return Torch(request["dir"], batches, request["threads"])
    return ONNX(request["dir"], batches, request["threads"], request["engine"] == "onnx-int8")


def embed(engine, repeat):
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        vectors = engine.vectors()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "values": [*vectors[0][0].tolist(), *vectors[-1][-1].tolist()],
            "peer_name": engine.name, "peer_version": engine.version}
