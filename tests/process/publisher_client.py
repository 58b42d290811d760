"""What a hostile client says to a storage node that is on IPFS, with Google's gRPC for Python. Reads a JSON object from standard input,
tries the calls of Publisher, prints what came of each as JSON."""
import base64
import hashlib
import importlib
import json
import sys
import tempfile

import grpc
from grpc_tools import protoc

given = json.load(sys.stdin)
out = tempfile.mkdtemp(dir=given["scratch"])
if protoc.main(["protoc", f"-I{given['proto']}", f"--python_out={out}", f"--grpc_python_out={out}", "storage.proto"]):
    sys.exit("protoc")
sys.path.insert(0, out)
messages, calls = importlib.import_module("storage_pb2"), importlib.import_module("storage_pb2_grpc")
key, certificate = (open(given["pem"][k], "rb").read() for k in ("key", "certificate"))
options = [("grpc.ssl_target_name_override", "localhost")]
found = {}


def publisher(node):
    secure = grpc.ssl_channel_credentials(open(node["certificate"], "rb").read(), key, certificate)
    return calls.PublisherStub(grpc.secure_channel(node["address"], secure, options))


def attempt(name, call):
    try:
        found[name] = call()
    except grpc.RpcError as e:
        found[name] = [e.code().name, e.details()]


def cid(data, codec=0x55, hash_code=0x12, digest=None):
    digest = hashlib.sha256(data).digest() if digest is None else digest
    return bytes([1, codec, hash_code, len(digest)]) + digest


def text(raw):
    return "b" + base64.b32encode(raw).decode().lower().rstrip("=")


def block(data, name=None):
    return messages.PublicBlock(cid=name or cid(data), data=data)


public, other = publisher(given["public"]), publisher(given["other"])
ticket, reading, writing = given["ticket"], given["reading"], given["writing"]
hello = b"hello, all of you"


def publish(*requests, to=public):
    return to.Publish(iter(requests), timeout=30).cid


def request(*blocks, ticket="", root=b""):
    return messages.PublishRequest(ticket=ticket, blocks=blocks, root=root)


def blocks(*cids, ticket=reading, of=public):
    return [a.data.decode() for a in of.Blocks(iter([messages.BlocksRequest(ticket=ticket, cids=cids)]), timeout=30)]


link = b"\x12\x28\x0a\x24" + cid(b"nowhere") + b"\x12\x00"  # a dag-pb node with a link to what nobody has
attempt("good", lambda: publish(request(block(hello), ticket=ticket), request(root=cid(hello))) == text(cid(hello)))
attempt("no_ticket", lambda: publish(request(block(hello), root=cid(hello))))
attempt("forged", lambda: publish(request(block(hello), ticket=ticket[:-1] + ("A" if ticket[-1] != "A" else "B"), root=cid(hello))))
attempt("reading", lambda: publish(request(block(hello), ticket=reading, root=cid(hello))))
attempt("writing", lambda: publish(request(block(hello), ticket=writing, root=cid(hello))))
attempt("wrong_block", lambda: publish(request(block(b"other", cid(hello)), ticket=ticket, root=cid(hello))))
attempt("absent_root", lambda: publish(request(ticket=ticket, root=cid(b"absent"))))
attempt("absent_leaf", lambda: publish(request(block(link, cid(link, 0x70)), ticket=ticket), request(root=cid(link, 0x70))))
attempt("no_root", lambda: publish(request(block(hello), ticket=ticket)))
attempt("nothing", lambda: publish())
attempt("root_first", lambda: publish(request(ticket=ticket, root=cid(hello)), request(block(hello))))
attempt("too_much", lambda: publish(request(ticket=ticket), *(request(block(bytes([i]) * 500_000)) for i in range(6)), request(root=cid(hello))))
attempt("bad_cid", lambda: publish(request(block(hello, b"\1\x55"), ticket=ticket)))
attempt("weak_hash", lambda: publish(request(block(hello, bytes([1, 0x55, 0xd5, 1, 16]) + hashlib.md5(hello).digest()), ticket=ticket)))
attempt("bad_root", lambda: publish(request(ticket=ticket, root=b"\xff" * 50)))
attempt("read", lambda: blocks(cid(hello), cid(hello)))
attempt("read_no_ticket", lambda: blocks(cid(hello), ticket=""))
attempt("read_write_ticket", lambda: blocks(cid(hello), ticket=writing))
attempt("read_private", lambda: blocks(bytes([1, 0x55, 0x12, 32]) + bytes.fromhex(given["chunk"])))
attempt("read_private_otherwise", lambda: blocks(bytes([0x12, 32]) + bytes.fromhex(given["chunk"])))
attempt("read_too_many", lambda: blocks(*[cid(hello)] * 257))
attempt("read_bad_cid", lambda: blocks(b"nonsense"))
attempt("elsewhere", lambda: publish(request(block(hello), ticket=ticket, root=cid(hello)), to=other))
attempt("read_elsewhere", lambda: blocks(cid(hello), of=other))
attempt("good_afterwards", lambda: blocks(cid(hello)))
print(json.dumps(found))
