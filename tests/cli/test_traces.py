"""Traces: `traceparent` in and out, spans that a collector gets by OTLP, trace IDs in logs."""
import http.server
import json
import os
import threading
import urllib.error
import urllib.request

from fileservice import FileService
from nodes import check, wait_until


class Collector(http.server.BaseHTTPRequestHandler):
    spans = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        check(self.path == "/v1/traces", self.path)
        for resource in body["resourceSpans"]:
            service = resource["resource"]["attributes"][0]["value"]["stringValue"]
            for scope in resource["scopeSpans"]:
                self.spans += [{**span, "service": service} for span in scope["spans"]]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_traces_of_a_put(shop):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    try:
        s = FileService(shop, 1)
        file = shop.file("file", 100_000)
        s.admin.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        s.admin.run("put", file, "file", "--replication=1", "--quorum=1")
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        request = urllib.request.Request(f"http://127.0.0.1:{s.metadata.port}/files", headers={"traceparent": f"00-{trace}-{parent}-01"})
        try:
            urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as e:
            check(e.code == 401 and trace in e.read().decode(), "a refusal names its trace")
        node = shop.node("node")
        node.text("id")

        def came():
            found = {(x["service"], x["name"]) for x in Collector.spans}
            return {("distribute-metadata", "POST /commit_upload"), ("distribute-fs", "POST /commit_upload"),
                    ("distribute-fileserver", "/distribute.storage.v1.ChunkStore/Put"), ("distribute-node", "POST /api/v0/id")} <= found
        wait_until(came, 30, "spans of all processes")
        commit = next(x for x in Collector.spans if x["service"] == "distribute-fs" and x["name"] == "POST /commit_upload")
        served = next(x for x in Collector.spans if x["service"] == "distribute-metadata" and x["name"] == "POST /commit_upload")
        put = next(x for x in Collector.spans if x["name"].endswith("/Put"))
        check(served["traceId"] == commit["traceId"] == put["traceId"] and served["parentSpanId"] == commit["spanId"], (commit, served, put))
        refused = next(x for x in Collector.spans if x["traceId"] == trace)
        check(refused["parentSpanId"] == parent and int(refused["endTimeUnixNano"]) >= int(refused["startTimeUnixNano"]) > 1e18, refused)
        s.finish()
    finally:
        del os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        server.shutdown()
