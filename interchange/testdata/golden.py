"""Makes small random models of each family with transformers, and what they compute.

    python golden.py     # transformers 5.24, torch 2.15, tokenizers, safetensors, numpy, pillow

Each folder under models/ is what save_pretrained writes, with golden.json beside it: token ids (padded and not), lengths and
types, and logits or vectors as float32. gradients.safetensors are those of a loss, the sum over targets, which golden.json
has, too, by the names of the weights.
"""
import copy, json, math, os, shutil, tempfile
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, DistilBertConfig,
                          DistilBertForMaskedLM, DistilBertForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig,
                          LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM, RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel,
                          ViTConfig, ViTForImageClassification)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
VOCAB = 40
ROWS = [[5, 9, 11, 20, 7, 33, 8], [6, 30, 12]]  # ids; the second row is padded


def tokenizer(folder):
    words = ["[PAD]", "<pad>", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(VOCAB - 6)]
    t = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    t.add_special_tokens(["[PAD]", "<pad>", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    t.save(os.path.join(folder, "tokenizer.json"))


def floats(x):
    return [float(f"{v:.9g}") for v in x.detach().flatten().float().tolist()]


def randomise(name, model):
    torch.manual_seed(len(name))
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.2)
        for n, p in model.named_parameters():
            if "norm" in n.lower() or "ln_" in n and n.endswith("weight"):
                p.add_(1)
    model.tie_weights()
    model.eval()
    model.save_pretrained(folder)
    return folder


def gradients(model, loss, folder):
    """saves the gradients as if they were weights, so that they have the names of weights"""
    model.zero_grad()
    loss.backward()
    grads = copy.deepcopy(model)
    with torch.no_grad():
        for p, q in zip(grads.parameters(), model.parameters()):
            p.copy_(q.grad if q.grad is not None else torch.zeros_like(q))
    with tempfile.TemporaryDirectory() as temp:
        grads.save_pretrained(temp)
        shutil.copyfile(os.path.join(temp, "model.safetensors"), os.path.join(folder, "gradients.safetensors"))


def write(folder, golden):
    with open(os.path.join(folder, "golden.json"), "w") as f:
        json.dump(golden, f)
        f.write("\n")


def loss_of(kind, y, ids, golden):
    """sum of the losses of targets, which golden gets; of vectors, the mean of each text's states, that of their cosine"""
    sum_of = torch.nn.CrossEntropyLoss(reduction="sum", ignore_index=-100)
    if kind.endswith("ForCausalLM") or kind.endswith("LMHeadModel"):  # each token from those before it
        golden["targets"] = [row[1:] + [-100] * (1 + ids.shape[1] - len(row)) for row in ROWS]
        return sum_of(y.flatten(0, 1), torch.tensor(golden["targets"]).flatten())
    if kind.endswith("ForMaskedLM"):  # one token of each text, at the places
        golden["places"], golden["targets"] = [2, ids.shape[1] + 1], [[4], [9]]
        return sum_of(y.flatten(0, 1)[golden["places"]], torch.tensor([4, 9]))
    if kind.endswith("ForSequenceClassification") and y.shape[1] == 1:
        golden["truth"] = [0.7, -0.3]
        return ((y[:, 0] - torch.tensor(golden["truth"])) ** 2).sum()
    if kind.endswith("ForSequenceClassification"):
        golden["targets"] = [[1], [0]]
        return sum_of(y, torch.tensor([1, 0]))
    golden["truth"] = [0.3]
    a, b = (y[i, :len(row)].mean(0) for i, row in enumerate(ROWS))
    return (torch.cosine_similarity(a, b, dim=0) - 0.3) ** 2


def make(name, model, types=False, output="logits", pad=0):
    folder = randomise(name, model)
    tokenizer(folder)
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    width = max(map(len, ROWS))
    ids = torch.tensor([r + [pad] * (width - len(r)) for r in ROWS])
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in ROWS])
    args = {"input_ids": ids, "attention_mask": mask}
    if types:
        args["token_type_ids"] = torch.tensor([[0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0, 0]])
    out = model(**args)
    y = out.logits if output == "logits" else out.last_hidden_state
    golden = {"rows": ROWS, "types": args["token_type_ids"].tolist() if types else None, "output": output,
              "shape": list(y.shape), "values": floats(y)}
    gradients(model, loss_of(type(model).__name__, y, ids, golden), folder)
    write(folder, golden)


def make_images(name, model, processor):
    """an image of the model's size, and one that is scaled"""
    folder = randomise(name, model)
    processor.save_pretrained(folder)
    side, golden, rows = model.config.image_size, {"output": "images", "targets": [[1]]}, []
    for file, w, h in (("same.png", side, side), ("other.png", 13, 21)):
        image = Image.new("RGB", (w, h))
        image.putdata([tuple(int(127 + 120 * math.sin(x * (c + 1) / 2 + y * y / 5)) for c in range(3)) for y in range(h) for x in range(w)])
        image.save(os.path.join(folder, file))
        rows.append(processor(image, return_tensors="pt")["pixel_values"])
    y = model(pixel_values=torch.cat(rows)).logits
    golden["shape"], golden["values"] = list(y.shape), floats(y)
    gradients(model, torch.nn.CrossEntropyLoss(reduction="sum")(y[:1], torch.tensor([1])), folder)  # of bytes that are certain
    write(folder, golden)


bert = dict(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=12)
make("bert", BertModel(BertConfig(**bert)), types=True, output="states")
make("bert-no-pooler-gelu-new", BertModel(BertConfig(**bert, hidden_act="gelu_new"), add_pooling_layer=False), output="states")
make("bert-classifier", BertForSequenceClassification(BertConfig(**bert, num_labels=3, id2label={0: "no", 1: "maybe", 2: "yes"},
                                                                 label2id={"no": 0, "maybe": 1, "yes": 2})), types=True)
make("bert-regression", BertForSequenceClassification(BertConfig(**bert, num_labels=1)))
make("bert-masked", BertForMaskedLM(BertConfig(**bert)), types=True)
roberta = dict(bert, max_position_embeddings=14, type_vocab_size=1, pad_token_id=1)
make("roberta", RobertaModel(RobertaConfig(**roberta), add_pooling_layer=False), output="states", pad=1)
make("roberta-classifier", RobertaForSequenceClassification(RobertaConfig(**roberta, num_labels=2)), pad=1)
make("roberta-masked", RobertaForMaskedLM(RobertaConfig(**roberta)), pad=1)
distil = dict(vocab_size=VOCAB, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=12)
make("distilbert-classifier", DistilBertForSequenceClassification(DistilBertConfig(**distil, num_labels=2)))
make("distilbert-masked", DistilBertForMaskedLM(DistilBertConfig(**distil)))
llama = dict(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=24, max_position_embeddings=64)
make("llama", LlamaForCausalLM(LlamaConfig(**llama)))
make("llama-tied-biased", LlamaForCausalLM(LlamaConfig(**llama, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)))
make("llama-linear", LlamaForCausalLM(LlamaConfig(**llama, head_dim=8, rope_scaling={"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0})))
make("llama-llama3", LlamaForCausalLM(LlamaConfig(**llama, head_dim=8, rope_scaling={
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16, "rope_theta": 10000.0})))
make("mistral", MistralForCausalLM(MistralConfig(**llama, sliding_window=32)))
make("qwen2", Qwen2ForCausalLM(Qwen2Config(**llama)))
make("qwen3", Qwen3ForCausalLM(Qwen3Config(**llama, head_dim=8, tie_word_embeddings=True)))
gpt2 = dict(vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=2, n_positions=12)
make("gpt2", GPT2LMHeadModel(GPT2Config(**gpt2)))
make("gpt2-untied", GPT2LMHeadModel(GPT2Config(**gpt2, tie_word_embeddings=False, n_inner=20)))
vit = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=8, patch_size=4,
           id2label={0: "cat", 1: "dog", 2: "fish"}, label2id={"cat": 0, "dog": 1, "fish": 2})
size = {"height": 8, "width": 8}
make_images("vit", ViTForImageClassification(ViTConfig(**vit)), ViTImageProcessorPil(size=size))
make_images("vit-no-bias-cropped", ViTForImageClassification(ViTConfig(**vit, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-6)),
            CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size=size, resample=3))
