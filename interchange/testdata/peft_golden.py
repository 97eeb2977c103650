"""Makes small random LoRA adapters over models/llama with PEFT, and the logits of both together.

    python peft_golden.py     # peft 0.18, transformers 5.24, torch 2.15

Each folder under adapters/ is what save_pretrained writes, with golden.json beside it: token ids and logits as float32.
"""
import json, os, shutil
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
ROW = [5, 9, 11, 20, 7, 33, 8]

for name, half, config in [
    ("some", False, dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"])),
    ("all", True, dict(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear", rank_pattern={"o_proj": 2})),
]:
    torch.manual_seed(len(name))
    base = LlamaForCausalLM.from_pretrained(os.path.join(HERE, "models", "llama"), dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **config)).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.normal_(0, 0.4)
                if half:
                    p.copy_(p.bfloat16().float())
        logits = model(torch.tensor([ROW])).logits[0]
    folder = os.path.join(HERE, "adapters", name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    path = os.path.join(folder, "adapter_model.safetensors")
    if half:
        save_file({n: t.bfloat16() for n, t in load_file(path).items()}, path, metadata={"format": "pt"})
    config = json.load(open(os.path.join(folder, "adapter_config.json")))
    config["base_model_name_or_path"] = "llama"
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    json.dump(config, open(os.path.join(folder, "adapter_config.json"), "w"), indent=2)
    json.dump({"row": ROW, "logits": [float(f"{v:.9g}") for v in logits.flatten().tolist()]}, open(os.path.join(folder, "golden.json"), "w"))
