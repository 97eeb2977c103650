"""sentence-transformers behind Python's plain HTTP server, as a person would put it: POST /v1/embeddings with {"input": [texts]}.

    vectors.py FOLDER THREADS

Prints its port. One request is answered at a time, as the model wants it.
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(int(sys.argv[2]))
model = SentenceTransformer(sys.argv[1], device="cpu")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        vectors = model.encode(texts, batch_size=32, normalize_embeddings=True)
        body = json.dumps({"object": "list", "data": [{"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
