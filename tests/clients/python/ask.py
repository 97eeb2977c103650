"""Asks `model serve` by OpenAI's Python package. ask.py URL: the key is a-key, the models are those of model_test.go."""
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="a-key", max_retries=0)
messages = [{"role": "system", "content": "be short"}, {"role": "user", "content": "what is the weather?"}]


def check(what, ok, *seen):
    if not ok:
        sys.exit(f"{what}: {seen}")


names = [m.id for m in client.models.list()]
check("models", names == ["writer", "encoder"], names)
check("model", client.models.retrieve("encoder").id == "encoder")

# Completions: as text and as ids, with what they are and how likely their tokens are.
quiet = {"257": -100, "258": -100}
texts = [client.completions.create(model="writer", prompt=p, max_tokens=12, temperature=0, logprobs=3, echo=True, logit_bias=quiet)
         for p in ("hi", [104, 105])]
for c in texts:
    one = c.choices[0]
    check("completion", one.text.startswith("hi") and one.finish_reason == "length" and len(one.logprobs.tokens) == 14 and one.logprobs.token_logprobs[0] is None
          and all(len(top) == 3 for top in one.logprobs.top_logprobs[1:]) and c.usage.completion_tokens == 12, c)
check("ids", texts[0].choices[0].text == texts[1].choices[0].text and texts[0].choices[0].logprobs.token_logprobs == texts[1].choices[0].logprobs.token_logprobs)

# Chat: a stream says what one answer says.
q = dict(model="writer", messages=messages, max_completion_tokens=20, seed=3, logprobs=True, top_logprobs=2)
whole = client.chat.completions.create(**q)
said, usage, places = "", None, 0
for chunk in client.chat.completions.create(**q, stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    for c in chunk.choices:
        said += c.delta.content or ""
        places += len(c.logprobs.content) if c.logprobs else 0
check("stream", said == whole.choices[0].message.content and usage.total_tokens == whole.usage.total_tokens and places == len(whole.choices[0].logprobs.content), said, whole)

# Tools: a call that is required, and its answer in the conversation.
tool = {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}}, "required": ["city"], "additionalProperties": False}}}
called = client.chat.completions.create(model="writer", messages=messages, max_tokens=200, seed=1, tools=[tool], tool_choice="required").choices[0]
check("call", called.finish_reason == "tool_calls" and called.message.tool_calls[0].function.arguments in ('{"city": "Oslo"}', '{"city": "Rome"}'), called)
client.chat.completions.create(model="writer", max_tokens=5, messages=messages + [called.message.to_dict(), {"role": "tool", "tool_call_id": called.message.tool_calls[0].id, "content": "rain"}])

# Vectors: the package asks for base64 and decodes it.
a = client.embeddings.create(model="encoder", input=["a man", "soup"])
b = client.embeddings.create(model="encoder", input=["a man", "soup"], encoding_format="float")
near = all(abs(p - q) < 1e-7 for x, y in zip(a.data, b.data) for p, q in zip(x.embedding, y.embedding))  # one is in decimals of float32
check("vectors", near and len(a.data) == 2 and len(a.data[0].embedding) == 32, a)

for kind, ask in ((openai.NotFoundError, lambda: client.completions.create(model="none", prompt="x")),
                  (openai.BadRequestError, lambda: client.completions.create(model="writer", prompt="x", temperature=-1)),
                  (openai.AuthenticationError, lambda: client.with_options(api_key="another").models.list())):
    try:
        ask()
    except kind as e:
        check("error", e.body["type"] == "invalid_request_error" and e.body["message"], e.body)
    else:
        sys.exit(f"no {kind.__name__}")

# Hanging up in the middle.
stream = client.completions.create(model="writer", prompt="x", max_tokens=4000, stream=True, logit_bias=quiet)
next(iter(stream))
stream.close()
print("ok")
