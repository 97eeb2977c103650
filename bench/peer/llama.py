"""llama.cpp's side of the benchmark of serving, by its library: reads one JSON object a line, answers one a line.

    {"cmd": "info"}
    {"cmd": "load", "dir": FILE.gguf, "threads": N}      8 sequences of 1024 tokens each
    {"cmd": "write", "prompts": [[ids], ...], "tokens": N, "temperature": 0 | 0.8}
                     continues all prompts, a llama_batch of one token each a step: seconds of each step, the last token's
                     choice included; with a temperature by top_p 0.95, as the server is asked to
    {"cmd": "first", "prompt": [ids]}                    seconds until the first token of a prompt
    {"cmd": "quit"}

The library is given all that makes it fast here: memory mapped weights, flash attention as it chooses, batches of 512 tokens.
"""
import ctypes
import json
import os
import sys
import time

import llama_cpp as L


class Side:
    def load(self, r):
        L.llama_backend_init()
        params = L.llama_model_default_params()
        self.model = L.llama_model_load_from_file(r["dir"].encode(), params)
        if not self.model:
            raise ValueError("cannot load " + r["dir"])
        c = L.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch, c.n_seq_max = 8 * 1024, 512, 512, 8
        c.n_threads = c.n_threads_batch = r["threads"]
        self.context = L.llama_init_from_model(self.model, c)
        self.batch = L.llama_batch_init(512, 0, 1)
        return {}

    def decode(self, places):
        """places are (token, position, sequence, whether its scores are wanted)"""
        b = self.batch
        b.n_tokens = len(places)
        for i, (token, at, seq, wanted) in enumerate(places):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, at, 1, wanted
            b.seq_id[i][0] = seq
        if L.llama_decode(self.context, b) != 0:
            raise ValueError("llama_decode failed")

    def sampler(self, temperature, seed):
        chain = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
        if temperature == 0:
            L.llama_sampler_chain_add(chain, L.llama_sampler_init_greedy())
        else:
            L.llama_sampler_chain_add(chain, L.llama_sampler_init_top_p(0.95, 1))
            L.llama_sampler_chain_add(chain, L.llama_sampler_init_temp(temperature))
            L.llama_sampler_chain_add(chain, L.llama_sampler_init_dist(seed))
        return chain

    def clear(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)

    def read(self, prompt, seq):
        for i in range(0, len(prompt), 512):
            part = prompt[i:i + 512]
            self.decode([(t, i + j, seq, i + j == len(prompt) - 1) for j, t in enumerate(part)])

    def write(self, r):
        self.clear()
        chains = [self.sampler(r["temperature"], 1 + i) for i in range(len(r["prompts"]))]
        last = []
        for seq, prompt in enumerate(r["prompts"]):
            self.read(prompt, seq)
            last.append(L.llama_sampler_sample(chains[seq], self.context, -1))
        seconds = []
        for step in range(r["tokens"] - 1):
            began = time.perf_counter()
            self.decode([(t, len(r["prompts"][seq]) + step, seq, True) for seq, t in enumerate(last)])
            last = [L.llama_sampler_sample(chain, self.context, seq) for seq, chain in enumerate(chains)]
            seconds.append(time.perf_counter() - began)
        for chain in chains:
            L.llama_sampler_free(chain)
        return {"seconds": seconds}

    def first(self, r):
        self.clear()
        chain = self.sampler(0, 0)
        began = time.perf_counter()
        self.read(r["prompt"], 0)
        L.llama_sampler_sample(chain, self.context, -1)
        took = time.perf_counter() - began
        L.llama_sampler_free(chain)
        return {"seconds": [took]}

    def info(self, r):
        return {"peer_name": "llama.cpp", "peer_version": L.__version__, "blas": "none", "instruction_set": ""}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints is no answer
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *a: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    side = Side()
    for line in sys.stdin:
        r = json.loads(line)
        if r["cmd"] == "quit":
            break
        try:
            a = getattr(side, r["cmd"])(r)
        except Exception as e:
            a = {"error": f"{type(e).__name__}: {e}"}
        answers.write(json.dumps(a) + "\n")
        answers.flush()


main()
