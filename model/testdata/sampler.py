"""Writes sampler.json: what transformers draws from, by the processors of generate in their order.

Run by `python sampler.py > sampler.json` with the versions of README.md.
"""
import json

import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList
from transformers.generation.logits_process import (
    MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)


def main():
    generator = torch.Generator().manual_seed(5)
    scores = (3 * torch.randn(1, 50, generator=generator)).float()
    text = [7, 3, 3, 49, 12, 7, 0, 21, 22, 23, 24, 25]
    cases = []
    for options in [
        {"temperature": 1.0},
        {"temperature": 0.6, "top_p": 0.9},
        {"temperature": 1.7, "top_k": 9},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 2.5, "min_p": 0.3},
        {"temperature": 1.0, "repetition_penalty": 1.3},
        {"temperature": 0.8, "repetition_penalty": 0.7},
        {"temperature": 0.9, "top_k": 20, "top_p": 0.8, "min_p": 0.02, "repetition_penalty": 1.1},
        {"temperature": 3.0, "top_k": 30, "top_p": 0.5, "min_p": 0.4, "repetition_penalty": 2.0},
    ]:
        steps = LogitsProcessorList()
        if "repetition_penalty" in options:
            steps.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
        if options["temperature"] != 1.0:
            steps.append(TemperatureLogitsWarper(options["temperature"]))
        if "top_k" in options:
            steps.append(TopKLogitsWarper(options["top_k"]))
        if "top_p" in options:
            steps.append(TopPLogitsWarper(options["top_p"]))
        if "min_p" in options:
            steps.append(MinPLogitsWarper(options["min_p"]))
        left = steps(torch.tensor([text]), scores.clone())
        probabilities = torch.softmax(left.double(), -1)[0]
        cases.append({
            "options": options,
            "probabilities": {i: p for i, p in enumerate(probabilities.tolist()) if p > 0},
        })
    defaults = GenerationConfig()._get_default_generation_params()
    print(json.dumps({"scores": scores[0].tolist(), "text": text, "default_top_k": defaults["top_k"], "cases": cases}, indent=1))


main()
