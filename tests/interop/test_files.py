"""`files …`: the same commands to our node and to Kubo, the answers and the root after each of them side by side."""
import json
import os
import random

import nodes
from nodes import check
from test_same import Pair

PROFILES = {
    "v0": {},
    "v1": {"Import.CidVersion": 1, "Import.UnixFSRawLeaves": True, "Import.UnixFSChunker": "size-1048576", "Import.UnixFSFileMaxLinks": 1024,
           "Import.UnixFSHAMTDirectorySizeEstimation": "block"},
    "small": {"Import.UnixFSHAMTDirectorySizeThreshold": "600B", "Import.UnixFSHAMTDirectoryMaxFanout": 8, "Import.UnixFSChunker": "size-1000"},
    "links": {"Import.UnixFSDirectoryMaxLinks": 4, "Import.CidVersion": 1},
}
REFUSED = (500, b"", None)
STEPS = int(os.environ.get("FILES_STEPS", "120"))
SEEDS = [int(s) for s in os.environ.get("FILES_SEEDS", "1 2").split()]


class Twins:
    """Our node and Kubo, both running, asked over the RPC."""

    def __init__(self, shop, name, config):
        ours = {key.replace(".", "__"): value for key, value in config.items()}
        self.shop = shop
        self.both = [shop.node(f"{name}-ours", config=ours), shop.kubo(f"{name}-kubo", config=config)]

    def ask(self, node, command, args, options, body):
        content_type = None
        if body is not None:
            content_type = "multipart/form-data; boundary=BOUNDARY"
            body = b'--BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: application/octet-stream\r\n\r\n' + \
                body + b"\r\n--BOUNDARY--\r\n"
        try:
            response, data = node.rpc_raw(command, args, options, body=body, content_type=content_type)
        except (BrokenPipeError, ConnectionResetError):
            return REFUSED  # before all of the upload was sent
        try:  # Go writes < > & as \u003c, and so on
            data = json.loads(data)
        except ValueError:
            pass
        return response.status, data, response.headers.get("X-Stream-Error")

    def same(self, command, *args, body=None, **options):
        options = {key.replace("_", "-"): value for key, value in options.items()}
        answers = [self.ask(node, command, args, options, body) for node in self.both]
        said = f"{command} {args} {options} {len(body) if body is not None else ''}"
        if REFUSED in answers and all(a[0] >= 400 for a in answers):
            return REFUSED
        check(answers[0] == answers[1], f"{said}:\n  ours {answers[0]}\n  Kubo {answers[1]}\n  after {getattr(self, 'story', [])[-12:]}")
        return answers[0]

    def root(self):
        return self.same("files/stat", "/")[1]["Hash"]


class Tale:
    """A random sequence of commands from a seed."""

    def __init__(self, twins, seed):
        self.twins, self.random = twins, random.Random(seed)
        twins.story = []
        self.contents = []
        # A single leaf with a protobuf frame would be misplaced by Kubo when it is appended to and then written over.
        for size, options in ((0, {}), (5, {"raw-leaves": "true"}), (300, {"cid-version": 1}), (2500, {"raw-leaves": "true"}), (300000, {}),
                              (270000, {"cid-version": 1, "raw-leaves": "true"}), (400000, {"trickle": "true"})):
            status, data, _ = twins.same("add", body=nodes.make_bytes(f"{seed}-{size}", size), pin="false", **options)
            self.contents.append("/ipfs/" + data["Hash"])

    def path(self, depth=3):
        return "/" + "/".join(self.random.choice("abcd") for _ in range(self.random.randint(1, depth)))

    def bytes(self):
        size = self.random.choice([0, 1, 10, 10, 300, 1500, 5000, 5000, 100000, 270000, 600000])
        return nodes.make_bytes(str(self.random.random()), size)

    def maybe(self, chance, **options):
        return options if self.random.random() < chance else {}

    def step(self):
        r, ask = self.random, self.twins.same
        common = self.maybe(0.15, flush="false")
        kind = r.choices(["mkdir", "write", "cp", "put", "mv", "rm", "look", "chcid", "chmod", "flush", "fill", "thin"],
                         [3, 10, 2, 3, 2, 2, 3, 1, 1, 1, 3, 3])[0]
        if kind == "mkdir":
            return ask("files/mkdir", self.path(), **self.maybe(0.6, parents="true"), **self.maybe(0.3, cid_version=r.choice([0, 1])),
                       **self.maybe(0.1, hash="blake2b-256"), **common)
        if kind == "write":
            return ask("files/write", self.path(), body=self.bytes(), **self.maybe(0.8, create="true"), **self.maybe(0.5, parents="true"),
                       **self.maybe(0.3, truncate="true"), **self.maybe(0.5, offset=r.choice([1, 7, 100, 5000, 250000, 300000])),
                       **self.maybe(0.1, count=r.choice([0, 3, 1000])), **self.maybe(0.2, raw_leaves=r.choice(["true", "false"])),
                       **self.maybe(0.2, cid_version=r.choice([0, 1])), **common)
        if kind == "cp":
            return ask("files/cp", self.path(), self.path(), **self.maybe(0.3, parents="true"), **self.maybe(0.3, force="true"), **common)
        if kind == "put":
            return ask("files/cp", r.choice(self.contents), self.path(), **self.maybe(0.5, parents="true"), **self.maybe(0.3, force="true"), **common)
        if kind == "mv":
            src, dst = self.path(), self.path()
            if dst.startswith(src) or src.split("/")[-2:] == dst.split("/")[-2:] or src.split("/")[-1] == dst.split("/")[-1]:
                return None  # what Kubo loses or duplicates
            return ask("files/mv", src, dst, **common)
        if kind == "rm":
            return ask("files/rm", self.path(), **self.maybe(0.5, recursive="true"), **self.maybe(0.2, force="true"))
        if kind == "look":
            path = self.path()
            ask("files/ls", path, **self.maybe(0.5, long="true"))
            ask("files/stat", path, **self.maybe(0.3, with_local="true"))
            return ask("files/read", path, **self.maybe(0.4, offset=3), **self.maybe(0.4, count=1000))
        if kind == "chcid":
            return ask("files/chcid", self.path(), cid_version=r.choice([0, 1]), **common)
        if kind == "chmod":
            return ask("files/chmod", r.choice(["0644", "755", "0"]), self.path())
        if kind == "flush":
            return ask("files/flush", r.choice(["/", self.path(1)]))
        folder = self.path(2)
        for i in range(r.randint(3, 12)):  # over the threshold, and below it
            name = f"{folder}/entry-{r.randint(0, 25)}"
            if kind == "fill":
                ask("files/write", name, body=b"x" * r.randint(0, 5), create="true", **common)
            else:
                ask("files/rm", name)
        return None

    def run(self):
        for i in range(STEPS):
            asked = self.twins.same

            def noted(command, *args, body=None, **options):
                self.twins.story.append((i, command, args, options, len(body) if body is not None else None))
                answer = asked(command, *args, body=body, **options)
                self.twins.root()
                return answer

            self.twins.same, twins_root = noted, self.twins.root
            self.twins.root = lambda: asked("files/stat", "/")[1]["Hash"]
            try:
                self.step()
            finally:
                self.twins.same, self.twins.root = asked, twins_root


def tell(shop, profile):
    for seed in SEEDS:
        Tale(Twins(shop, f"files-{profile}-{seed}", PROFILES[profile]), seed).run()


def test_random_files_v0(shop):
    tell(shop, "v0")


def test_random_files_v1(shop):
    tell(shop, "v1")


def test_random_files_small_threshold(shop):
    tell(shop, "small")


def test_random_files_few_links(shop):
    tell(shop, "links")


def test_files_said(shop):
    """As a user sees them: outputs and errors of the command line."""
    p = Pair(shop, "files-said")
    for words in (["mkdir", "/d"], ["mkdir", "/d"], ["mkdir", "/"], ["mkdir", "d"], ["mkdir", ""], ["mkdir", "/x/y"], ["mkdir", "-p", "/x/y/"],
                  ["write", "-e", "/d/f"], ["write", "/d/f", "tree/a.txt"], ["write", "-o", "5", "-n", "2", "/d/f"], ["write", "/nope"], ["write", "/d"],
                  ["write", "-o", "-1", "/d/f"], ["write", "-e", "--hash=nope", "/d/g"], ["write", "-e", "--cid-version=7", "/d/g"],
                  ["write", "-e", "/no/f"], ["write", "-e", "/d/f/g"],
                  ["read", "/d/f"], ["read", "-o", "2", "-n", "3", "/d/f"], ["read", "/d"], ["read", "-o", "99", "/d/f"], ["read", "/nope"],
                  ["ls"], ["ls", "-l", "/"], ["ls", "-l", "/d/f"], ["ls", "/d/f"], ["ls", "-U", "/d"], ["ls", "/nope"], ["ls", "d"],
                  ["stat", "/"], ["stat", "/d/f"], ["stat", "--hash", "/d/f"], ["stat", "--size", "/d"], ["stat", "--hash", "--size", "/d"],
                  ["stat", "--with-local", "/d"], ["stat", "--format=<type> <childs> <size>|<x>", "/d/f"], ["stat", "/ipfs/bafkqablimvwgy3y"],
                  ["cp", "/ipfs/bafkqablimvwgy3y", "/hello"], ["cp", "/ipfs/bafkqablimvwgy3y", "/hello"], ["cp", "/hello", "/d/"],
                  ["cp", "/nope", "/n"], ["cp", "/hello", "/no/n"], ["cp", "-p", "/hello", "/no/n"], ["cp", "--force", "/hello", "/d"],
                  ["cp", "--force", "/d/f", "/hello"], ["cp", "/hello", "/hello/x"], ["cp", "/ipfs/bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "/c"],
                  ["mv", "/hello", "/moved"], ["mv", "/nope", "/n"], ["mv", "/moved", "/d"], ["mv", "/d/moved", "/no/where/x"], ["mv", "/d/f", "/d/moved"],
                  ["chmod", "644", "/d/moved"], ["chmod", "9", "/d/moved"], ["chmod", "0755", "/d"], ["chmod", "644", "/nope"],
                  ["touch", "--mtime=1630937926", "--mtime-nsecs=5", "/d/moved"], ["touch", "--mtime=1", "/nope"], ["stat", "/d/moved"], ["stat", "/d"],
                  ["chcid", "--cid-version=1", "/d"], ["chcid", "/"], ["chcid", "--cid-version=1", "/d/moved"], ["chcid", "/d"], ["stat", "/d"],
                  ["flush"], ["flush", "/d"], ["flush", "/nope"], ["rm", "/nope"], ["rm", "/d", "/"], ["rm", "--flush=false", "/d"], ["rm", "-r", "/d", "/x"],
                  ["rm", "--force", "/nope"], ["stat", "/"], ["chroot"], ["chroot", "--confirm"], ["stat", "/"], ["ls"]):
        p.same("files", *words, stdin=b"some bytes")
    p.both_fail("files", "chroot", "--confirm", "QmNope")
    check(not shop.differences, "\n".join(shop.differences))


def begin(shop):
    shop.differences = []
