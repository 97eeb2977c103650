"""Writes bert.vocab.txt and bert.golden.json with Hugging Face transformers (see README.md)."""

import json
import os

from transformers import BertTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))

# The texts and the vocabulary of the files that generate.py wrote.
TEXTS = [case["text"] for case in json.load(open(os.path.join(HERE, "wordpiece.golden.json"), encoding="utf-8"))]
VOCAB = json.load(open(os.path.join(HERE, "wordpiece_cased.tokenizer.json"), encoding="utf-8"))["model"]["vocab"]

vocab_file = os.path.join(HERE, "bert.vocab.txt")
with open(vocab_file, "w", encoding="utf-8") as file:
    file.write("".join(token + "\n" for token in sorted(VOCAB, key=VOCAB.get)))

cases = []
for lowercase in (True, False):
    tokenizer = BertTokenizer(vocab_file, do_lower_case=lowercase)
    for first, second in zip(TEXTS, TEXTS[1:] + [None]):
        single = tokenizer(first)
        cases.append({"lowercase": lowercase, "texts": [first], "ids": single["input_ids"], "types": single["token_type_ids"]})
        if second and len(first) + len(second) < 600:
            pair = tokenizer(first, second, max_length=24, truncation="longest_first")
            cases.append({"lowercase": lowercase, "texts": [first, second], "max_len": 24, "ids": pair["input_ids"], "types": pair["token_type_ids"]})
with open(os.path.join(HERE, "bert.golden.json"), "w", encoding="utf-8") as file:
    file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
