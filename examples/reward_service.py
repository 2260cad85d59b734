"""A reward of one's own over HTTP: `duet submit examples/http-reward.yaml`; see docs/rewards.md.

pip install standardwebhooks; REWARD_SECRET=whsec_... python examples/reward_service.py
"""

import json
import os
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

SECRET = Webhook(os.environ["REWARD_SECRET"])


def score(item: dict) -> float:
    """Score one completion: item has messages, completion, num_tokens, answer and row."""
    return float(item["completion"].strip() == item["answer"])


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = SECRET.verify(body, dict(self.headers.items()))  # raises unless Duet signed it
        scores = [{"key": item["key"], "score": score(item)} for item in request["data"]["items"]]
        answer = json.dumps({"scores": scores})
        number, now = self.headers["webhook-id"], datetime.now(UTC)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("webhook-id", number)  # signed, as http does not show who answers
        self.send_header("webhook-timestamp", str(int(now.timestamp())))
        self.send_header("webhook-signature", SECRET.sign(number, now, answer))
        self.end_headers()
        self.wfile.write(answer.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8100), Service).serve_forever()
