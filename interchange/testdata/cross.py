"""Writes cross.json: what CrossEncoder.predict of sentence-transformers says of pairs, for bert-regression with each activation.

Run by `python cross.py > cross.json` with the versions of golden.py.
"""
import json
import pathlib
import shutil
import tempfile

from sentence_transformers import CrossEncoder

PAIRS = [("w1 w2 w3", "w4"), ("w9", "w9 w8 w7"), ("w12 w30 w31", "w0 w0"), ("w5 w6 w7 w8 w9 w10 w11 w12 w13 w14", "w20 w21 w22 w23")]


CLS, SEP = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
FRAME = {
    "type": "TemplateProcessing",
    "single": [CLS, {"Sequence": {"id": "A", "type_id": 0}}, SEP],
    "pair": [CLS, {"Sequence": {"id": "A", "type_id": 0}}, SEP, {"Sequence": {"id": "B", "type_id": 1}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [3], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [4], "tokens": ["[SEP]"]}},
}


def main():
    out = {"pairs": PAIRS, "post_processor": FRAME}
    for name in ["Sigmoid", "Identity"]:
        with tempfile.TemporaryDirectory() as dir:
            shutil.copytree(pathlib.Path(__file__).parent / "models" / "bert-regression", dir, dirs_exist_ok=True)
            path = pathlib.Path(dir) / "config.json"
            config = json.loads(path.read_text())
            module = "activation" if name == "Sigmoid" else "linear"
            config["sentence_transformers"] = {"activation_fn": f"torch.nn.modules.{module}.{name}", "version": "5.2.0"}
            path.write_text(json.dumps(config))
            path = pathlib.Path(dir) / "tokenizer.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": FRAME}))
            (pathlib.Path(dir) / "tokenizer_config.json").write_text(json.dumps({
                "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config["max_position_embeddings"], "pad_token": "[PAD]",
                "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}))
            model = CrossEncoder(dir, device="cpu")
            out[name] = [float(x) for x in model.predict(PAIRS)]
    print(json.dumps(out))


main()
