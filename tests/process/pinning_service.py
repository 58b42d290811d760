"""A remote pinning service as ipfs/pinning-services-api-spec describes it, in memory: for tests of its clients. A pin becomes
`pinned` when it has been asked after twice; a CID in `failing` fails."""
import http.server
import json
import threading
import urllib.parse

KEY = "secret-key"
PAGE = 3


class Service:
    def __init__(self):
        self.pins, self.asked, self.requests, self.failing, self.next = [], {}, [], set(), 1
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, value=None):
                data = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except BrokenPipeError:
                    pass  # Kubo leaves when one of its requests has failed

            def handle_any(self):
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.requests.append((self.command, self.path))
                if self.headers.get("Authorization") != f"Bearer {KEY}":
                    return self.answer(401, {"error": {"reason": "UNAUTHORIZED", "details": "Access token is missing or invalid"}})
                return self.answer(*service.serve(self.command, url.path, urllib.parse.parse_qs(url.query), body))

            do_GET = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, method, path, query, body):
        if path == "/api/pins" and method == "POST":
            pin = {"requestid": f"id {self.next}/x", "status": "queued", "created": f"2026-01-01T00:{self.next // 60:02}:{self.next % 60:02}Z",
                   "pin": json.loads(body), "delegates": []}
            self.next += 1
            self.pins.insert(0, pin)
            return 202, pin
        if path == "/api/pins" and method == "GET":
            wanted = query.get("status", ["pinned"])[0].split(",")
            found = [p for p in self.pins if p["status"] in wanted
                     and ("cid" not in query or p["pin"]["cid"] in query["cid"][0].split(","))
                     and ("name" not in query or p["pin"].get("name") == query["name"][0])
                     and ("before" not in query or p["created"] < query["before"][0])]
            return 200, {"count": len(found), "results": found[:min(PAGE, int(query.get("limit", [PAGE])[0]))]}
        name = urllib.parse.unquote(path.removeprefix("/api/pins/"))
        for pin in self.pins:
            if pin["requestid"] == name and method == "DELETE":
                self.pins.remove(pin)
                return 202, None
            if pin["requestid"] == name and method == "GET":
                self.asked[name] = self.asked.get(name, 0) + 1
                if self.asked[name] > 1:
                    pin["status"] = "failed" if pin["pin"]["cid"] in self.failing else "pinned"
                return 200, pin
        return 404, {"error": {"reason": "NOT_FOUND", "details": "no such pin"}}
