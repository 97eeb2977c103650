"""Holds GGUF files of Sparrow against llama.cpp (llama-cpp-python 0.3.36):

    llama.py logits PAIRS       folders with golden.json and files: the largest difference of each
    llama.py types F32 FOLDER   quantizes a file to each type that is read; FOLDER/TYPE.values has what gguf makes of its tensors
    llama.py mix F32 OURS       perplexity of OURS over that of llama.cpp's own Q4_K_M, on text that F32 writes
    llama.py text F32 N PROMPT  ids of PROMPT, scores of its last token, and the N likeliest tokens that follow, as JSON
    llama.py file F32 OURS TEXT as mix, on a file
"""
import ctypes, json, os, sys, tempfile
import numpy as np
import llama_cpp as L


@L.llama_log_callback
def log(level, text, _):
    if level == 4:  # errors
        sys.stderr.write(text.decode())


L.llama_log_set(log, ctypes.c_void_p(0))
L.llama_backend_init()


class Model:
    def __init__(self, path, context=512, threads=1):
        p = L.llama_model_default_params()
        self.model = L.llama_model_load_from_file(path.encode(), p)
        assert self.model, path
        self.vocab = L.llama_model_get_vocab(self.model)
        c = L.llama_context_default_params()
        c.n_ctx = c.n_batch = c.n_ubatch = context
        c.n_threads = c.n_threads_batch = threads
        c.flash_attn_type, c.type_k, c.type_v = 0, 0, 0  # caches in float32
        self.context = L.llama_init_from_model(self.model, c)

    def logits(self, ids, first=0):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)
        b = L.llama_batch_init(len(ids), 0, 1)
        b.n_tokens = len(ids)
        for i, token in enumerate(ids):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, i, 1, int(i >= first)
            b.seq_id[i][0] = 0
        assert L.llama_decode(self.context, b) == 0
        L.llama_batch_free(b)
        shape = (len(ids) - first, L.llama_vocab_n_tokens(self.vocab))
        return np.ctypeslib.as_array(L.llama_get_logits(self.context), shape).copy()

    def ids(self, text):
        text = text.encode()
        out = (L.llama_token * (len(text) + 8))()
        return list(out[:L.llama_tokenize(self.vocab, text, len(text), out, len(out), False, True)])

    def loss(self, ids, window):
        total, n = 0.0, 0
        for i in range(0, len(ids) - window + 1, window):
            x = self.logits(ids[i:i + window]).astype(np.float64)
            x -= x.max(1, keepdims=True)
            x -= np.log(np.exp(x).sum(1, keepdims=True))
            total, n = total - x[np.arange(window - 1), ids[i + 1:i + window]].sum(), n + window - 1
        return total / n


def quantize(source, to, kind, pure):
    p = L.llama_model_quantize_default_params()
    p.ftype, p.pure, p.nthread = kind, pure, 2
    assert L.llama_model_quantize(source.encode(), to.encode(), ctypes.byref(p)) == 0


def ratio(source, ours, ids, window, threads=1):
    with tempfile.TemporaryDirectory() as temp:
        theirs = os.path.join(temp, "theirs.gguf")
        quantize(source, theirs, 15, False)
        return float(np.exp(Model(ours, threads=threads).loss(ids, window) - Model(theirs, threads=threads).loss(ids, window)))


what, args = sys.argv[1], sys.argv[2:]
if what == "logits":
    for line in open(args[0]):
        folder, path = line.split()
        golden, model, worst = json.load(open(os.path.join(folder, "golden.json"))), Model(path, 64), 0
        want = np.array(golden["values"]).reshape(golden["shape"])
        for i, row in enumerate(golden["rows"]):
            worst = max(worst, abs(model.logits(row) - want[i, :len(row)]).max())
        print(os.path.basename(folder), worst)
if what == "types":
    import gguf
    kinds = {"F16": 1, "BF16": 32, "Q8_0": 7, "Q4_0": 2, "Q4_1": 3, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18}
    for name, kind in kinds.items():
        path = os.path.join(args[1], name)
        quantize(args[0], path + ".gguf", kind, True)
        tensors = gguf.GGUFReader(path + ".gguf").tensors
        assert any(t.tensor_type.name == name for t in tensors), name
        with open(path + ".values", "wb") as f:
            for t in tensors:
                f.write(np.ascontiguousarray(gguf.quants.dequantize(t.data, t.tensor_type), np.float32).tobytes())
if what == "mix":
    model, ids, random = Model(args[0]), [1], np.random.default_rng(1)
    for _ in range(255):
        x = model.logits(ids, len(ids) - 1)[0].astype(np.float64)
        p = np.exp(x - x.max())
        ids.append(int(random.choice(len(p), p=p / p.sum())))
    print(ratio(args[0], args[1], ids, 256))
if what == "text":
    model, n = Model(args[0], threads=2), int(args[1])
    ids, written = model.ids(args[2]), []
    first = model.logits(ids, len(ids) - 1)[0].tolist()
    for _ in range(n):
        written.append(int(model.logits(ids + written, len(ids + written) - 1)[0].argmax()))
    print(json.dumps({"ids": ids, "scores": first, "written": written}))
if what == "file":
    model = Model(args[0])
    ids = model.ids(open(args[2], encoding="utf-8").read())[:1024]
    print(ratio(args[0], args[1], ids, 512, threads=2))
