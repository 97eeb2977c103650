"""Renders chat templates as transformers does, with Jinja2 3.1 (pip install jinja2==3.1.6).

    python render.py FOLDER > rendered.json     every *.jinja of a folder, over conversations.json

The output has, for each template and conversation, the text, or null where the template refuses it.
"""
import glob, json, os, sys
from datetime import datetime
import jinja2
from jinja2.ext import loopcontrols, Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return body


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = refuse
env.globals["strftime_now"] = lambda f: datetime(2026, 2, 3, 4, 5, 6).strftime(f)

conversations = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "conversations.json"), encoding="utf-8"))
out = {}
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja"))):
    source = open(path, encoding="utf-8").read()
    rows = []
    for c in conversations:
        try:
            rows.append(env.from_string(source).render(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", documents=None, tools=c.get("tools"),
                messages=c["messages"], add_generation_prompt=c["add_generation_prompt"]))
        except Exception:
            rows.append(None)
    out[os.path.basename(path)] = {"source": source, "rows": rows}
json.dump(out, sys.stdout, ensure_ascii=True, indent=0)
