"""A server of files on loopback for tests of URLs as content: its first path segment says how it answers."""
import base64
import gzip
import http.server
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import nodes


def make_certificate(folder, name="localhost"):
    """A certificate of its own for loopback and a name; give it to programs as $SSL_CERT_FILE."""
    cert, key = pathlib.Path(folder) / f"{name}.pem", pathlib.Path(folder) / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def content_of(path):
    """/HOW/SIZE/NAME: SIZE bytes, the same for each NAME."""
    parts = urllib.parse.unquote(path.split("?")[0]).strip("/").split("/")
    size = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 20
    return nodes.make_bytes(parts[-1], size)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def head(self, status, length, *fields):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.wait_silently()
        if self.server.is_stopped:
            self.close_connection = True
            return
        how = self.path.strip("/").split("/")[0].split("?")[0]
        if self.path.startswith("http://"):
            how = "proxied"
        getattr(self, f"how_{how}", self.how_404)()

    def do_CONNECT(self):
        """As a proxy: a tunnel to wherever $CONNECT leads in these tests."""
        self.server.requests.append((f"CONNECT {self.path}", dict(self.headers)))
        if self.server.tunnel is None:
            self.head(403, 0)
            return
        with socket.create_connection(("127.0.0.1", self.server.tunnel)) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\nContent-Length: 0\r\n\r\n")
            back = threading.Thread(target=pump, args=(there, self.connection))
            back.start()
            pump(self.connection, there)
            back.join()
        self.close_connection = True

    def how_404(self):
        self.head(404, 4)
        self.wfile.write(b"none")

    def body(self, status=200, *fields):
        data = self.server.replaced.get(self.path, content_of(self.path))
        wanted = self.headers.get("Range")
        if wanted and status == 200:
            first, last = wanted.removeprefix("bytes=").split("-")
            first, last = int(first), min(int(last), len(data) - 1)
            if first > last:
                self.head(416, 0)
                return
            self.head(206, last + 1 - first, ("Content-Range", f"bytes {first}-{last}/{len(data)}"), *fields)
            self.wfile.write(data[first:last + 1])
        else:
            self.head(status, len(data), *fields)
            self.wfile.write(data)

    def how_ok(self):
        self.body()

    def how_dated(self):
        self.body(200, ("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT"), ("File-Mode", "640"))

    def how_whole(self):
        """Knows no ranges."""
        del self.headers["Range"]
        self.body()

    def how_status(self):
        self.body(int(self.path.split("/")[2]))

    def how_empty(self):
        self.head(int(self.path.split("/")[2]), None if "/204" in self.path else 0)

    def how_chunked(self, *extra, ends=True):
        data = content_of(self.path)
        self.head(200, None, ("Transfer-Encoding", "chunked"), *extra)
        for at in range(0, len(data), 5000):
            piece = data[at:at + 5000]
            self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        if ends:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def how_cutchunks(self):
        self.how_chunked(ends=False)

    def how_untilclose(self):
        self.head(200, None, ("Connection", "close"))
        self.wfile.write(content_of(self.path))
        self.close_connection = True

    def how_cut(self):
        data = content_of(self.path)
        self.head(200, len(data))
        self.wfile.write(data[:len(data) // 2])
        self.close_connection = True

    def how_reset(self):
        data = content_of(self.path)
        self.head(200, len(data))
        self.wfile.write(data[:len(data) // 2])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True

    def how_more(self):
        """Sends more than it said."""
        data = content_of(self.path)
        self.head(200, len(data) // 2)
        self.wfile.write(data)
        self.close_connection = True

    def how_gzip(self):
        data = gzip.compress(content_of(self.path))
        self.head(200, len(data), ("Content-Encoding", "gzip"))
        self.wfile.write(data)

    def how_cutgzip(self):
        data = gzip.compress(content_of(self.path))[:-4]
        self.head(200, len(data), ("Content-Encoding", "gzip"))
        self.wfile.write(data)

    def how_asked(self):
        """Compresses when it is asked to."""
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            self.how_gzip()
        else:
            self.body()

    def how_slow(self):
        data = content_of(self.path)
        self.head(200, len(data))
        for at in range(0, len(data), 1000):
            self.wfile.write(data[at:at + 1000])
            self.wfile.flush()
            time.sleep(0.02)

    def how_silent(self):
        self.server.released.wait(60)
        self.close_connection = True

    def how_hugehead(self):
        self.head(200, 0, *[(f"X-{i}", "x" * 1000) for i in range(int(self.path.split("/")[2]))])

    def how_to(self):
        """/to/STATUS/PATH…: a redirect; ?u=URL to another place."""
        _, _, status, rest = self.path.split("/", 3)
        to = urllib.parse.parse_qs(self.path.partition("?")[2]).get("u", ["/" + rest])[0]
        self.head(int(status), 0, ("Location", to))

    def how_hops(self):
        count = int(self.path.split("/")[2])
        self.head(302, 0, ("Location", f"/hops/{count - 1}" if count > 1 else "/ok/100/hopped"))

    def how_loop(self):
        self.head(302, 0, ("Location", self.path))

    def how_nowhere(self):
        self.head(302, 0)

    def how_secret(self):
        wanted = "Basic " + base64.b64encode(b"user:pass word").decode()
        if self.headers.get("Authorization") == wanted:
            self.body()
        else:
            self.head(401, 0, ("WWW-Authenticate", "Basic"))

    def how_http(self):
        self.how_proxied()

    def how_proxied(self):
        """As a proxy that is asked for a whole URL: the path alone counts."""
        self.path = "/" + self.path.split("/", 3)[3] if self.path.startswith("http://") else self.path
        self.do_GET()


def pump(a, b):
    try:
        while piece := a.recv(65536):
            b.sendall(piece)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class WebFiles(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, certificate=None, host="127.0.0.1", port=0):
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)
        self.requests = []
        self.replaced = {}  # path to content, in place of what it would be
        self.released = threading.Event()
        self.is_stopped = False
        self.silence, self.held, self.lock = False, 0, threading.Lock()
        self.tunnel = None  # as a proxy: the port that all of CONNECT goes to
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.host = f"[{host}]" if ":" in host else host
        self.port = self.server_address[1]
        self.base = f"{'https' if certificate else 'http'}://{self.host}:{self.port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def wait_silently(self):
        """Holds all requests while `silence` is set; `held` counts them."""
        if self.silence:
            with self.lock:
                self.held += 1
            self.released.wait(60)
            with self.lock:
                self.held -= 1

    def handle_error(self, request, client_address):
        pass

    def stop(self):
        self.is_stopped = True
        self.released.set()
        self.shutdown()
        self.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
