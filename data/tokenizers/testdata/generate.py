"""Writes the golden files of this folder with Hugging Face tokenizers (see README.md)."""

import json
import os

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = open(os.path.join(HERE, "corpus.txt"), encoding="utf-8").read()

TEXTS = {
    "empty": "",
    "one byte": "a",
    "prose": CORPUS[:1500],
    "code": CORPUS[CORPUS.index("package queue") :],
    "indentation": "if x {\n\tif y {\n\t\treturn\n\t}\n}\n",
    "white space": "a  b   c \n d\t\te \n\n\n f \r\n g\u00a0h\u2003i\u3000j\u0085k\u2028l ",
    "only spaces": "     ",
    "only line breaks": "\n\n\n",
    "contractions": "I'm you're he's we've they'll don't I'd 'S 'RE x'sy ' s '' 'l",
    "numbers": "1234567890 3.14 1e-9 0xFF १२३ ½ ² Ⅷ 10,000,000",
    "punctuation": "...!!! --> <= >= != && || :: ;; /* */ // ### ~~~ `` \"\" {}[]()",
    "latin": "Größe café naïve Ångström e\u0301 ﬁ İstanbul ẞ",
    "scripts": "Привет мир 你好，世界 こんにちは שלום العربية ไทย हिन्दी ქართული",
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🇩🇪 ☃️ 𝒳",
    "control": "a\u0000b\u0001c\u007fd\u200be\ufefff\ufffdg\u00adh",
    "special": "x<|endoftext|>y <|endoftext|> z<|endoftext|><|endoftext|> <|endof <mask> a <mask>b [CLS] c [SEP][MASK]d[UNK]",
    "long word": "a" * 150 + "the" * 40 + " " + "=" * 120,
    "repetition": "aaaaaaa aaaa bababababa ofofofof thethethe lllll",
}


def golden(name, tokenizer):
    tokenizer.save(os.path.join(HERE, name + ".tokenizer.json"), pretty=False)
    cases = []
    for case, text in TEXTS.items():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"name": case, "text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    with open(os.path.join(HERE, name + ".golden.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def byte_level(vocab_size, special, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(**options)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [CORPUS],
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


# As trained here: the parity of the trainer is checked on this one.
golden("bpe", byte_level(600, ["<|endoftext|>"], add_prefix_space=False))

# As RoBERTa: a space before each text, a mask that takes the space before it, an added token that is not special.
roberta = byte_level(360, ["<s>", "<pad>", "</s>", "<unk>"], add_prefix_space=True)
roberta.add_special_tokens([AddedToken("<mask>", lstrip=True)])
roberta.add_tokens([AddedToken("thethe", rstrip=True)])
golden("roberta", roberta)

# Without cutting into words, and with tokens that win over merges, as the files of Llama 3 have.
content = json.loads(byte_level(330, ["<|endoftext|>"], add_prefix_space=False).to_str())
content["pre_tokenizer"]["use_regex"] = False
content["model"]["ignore_merges"] = True
content["model"]["vocab"]["aaa"] = 330
content["model"]["vocab"]["...!!!"] = 331
golden("whole", Tokenizer.from_str(json.dumps(content)))

for name, lowercase, strip in (("wordpiece", True, None), ("wordpiece_cased", False, False)):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        [CORPUS],
        trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
        ),
    )
    golden(name, tokenizer)
