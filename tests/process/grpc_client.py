"""A client of storage nodes that is not ours: Google's gRPC for Python and messages that protoc made of proto/*.proto. Reads a
JSON object from standard input, tries the calls, prints what came of each as JSON."""
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
for name in ("storage", "health"):
    if protoc.main(["protoc", f"-I{given['proto']}", f"--python_out={out}", f"--grpc_python_out={out}", f"{name}.proto"]):
        sys.exit("protoc")
sys.path.insert(0, out)
messages, calls = importlib.import_module("storage_pb2"), importlib.import_module("storage_pb2_grpc")
health, health_calls = importlib.import_module("health_pb2"), importlib.import_module("health_pb2_grpc")

pem = {k: open(v, "rb").read() for k, v in given["pem"].items()}
secure = grpc.ssl_channel_credentials(pem["server"], pem["key"], pem["certificate"])
options = [("grpc.ssl_target_name_override", "localhost")]
channel = grpc.secure_channel(given["address"], secure, options)
node = calls.ChunkStoreStub(channel)
found = {}


def attempt(name, call):
    try:
        found[name] = call()
    except grpc.RpcError as e:
        found[name] = [e.code().name, e.details()]


def pieces(data, ticket, size=None, sha=None, step=100_000):
    head = messages.PutHead(id=sha or hashlib.sha256(data).digest(), size=len(data) if size is None else size, ticket=ticket)
    yield messages.PutRequest(head=head)
    for at in range(0, len(data), step):
        yield messages.PutRequest(data=data[at:at + step])


def put(data, ticket, **more):
    answer = node.Put(pieces(data, ticket, **more), timeout=30)
    return {"was_present": answer.was_present, "receipt": answer.receipt, "node": answer.node}


def get(sha, ticket, offset=0, length=0):
    answers = list(node.Get(messages.GetRequest(id=sha, offset=offset, length=length, ticket=ticket), timeout=30))
    return {"sha": hashlib.sha256(b"".join(a.data for a in answers)).hexdigest(), "len": sum(len(a.data) for a in answers),
            "pieces": len(answers), "size": answers[0].size}


write = given["write_ticket"]
data = hashlib.shake_256(b"chunk").digest(given["length"] + 28)
sha = hashlib.sha256(data).digest()
attempt("put", lambda: put(data, write))
attempt("put_again", lambda: put(data, write))
attempt("put_without_ticket", lambda: put(data, ""))
attempt("put_forged", lambda: put(data, write[:-1] + ("A" if write[-1] != "A" else "B")))
attempt("put_other_bytes", lambda: put(b"other", write, sha=sha))
attempt("put_too_short", lambda: put(b"short", write, size=10))
attempt("put_too_long", lambda: put(b"long" * 10, write, size=10))
attempt("put_huge", lambda: put(b"x", write, size=1 << 40))
attempt("put_bad_id", lambda: put(b"x", write, sha=b"short"))
attempt("put_no_head", lambda: node.Put(iter([messages.PutRequest(data=b"x")]), timeout=30) and None)
attempt("put_nothing", lambda: node.Put(iter([]), timeout=30) and None)
attempt("put_over_ticket", lambda: [put(hashlib.shake_256(str(i).encode()).digest(1_000_000), write)["node"] for i in range(12)])
attempt("has", lambda: list(node.Has(messages.HasRequest(ids=[sha, b"\0" * 32]), timeout=30).present))
attempt("has_too_many", lambda: node.Has(messages.HasRequest(ids=[sha] * 1025), timeout=30) and None)
attempt("get", lambda: get(sha, given["read_ticket"] or ""))
attempt("get_with_write_ticket", lambda: get(sha, write))
attempt("get_without_ticket", lambda: get(sha, ""))
attempt("delete", lambda: node.Delete(messages.DeleteRequest(ids=[sha]), timeout=30).deleted)
attempt("replicate", lambda: node.Replicate(messages.ReplicateRequest(id=sha, **{"from": [given["address"]]}), timeout=30) and None)
attempt("stat", lambda: node.Stat(messages.StatRequest(), timeout=30) and None)
attempt("health", lambda: messages.HealthResponse.State.Name(node.Health(messages.HealthRequest(), timeout=30).state))
attempt("check", lambda: health.HealthCheckResponse.ServingStatus.Name(
    health_calls.HealthStub(channel).Check(health.HealthCheckRequest(), timeout=30).status))
attempt("check_other", lambda: health_calls.HealthStub(channel).Check(health.HealthCheckRequest(service="x"), timeout=30) and None)
attempt("unknown", lambda: channel.unary_unary("/distribute.storage.v1.ChunkStore/Nothing")(b"", timeout=30) and None)
attempt("not_a_message", lambda: channel.unary_unary("/distribute.storage.v1.ChunkStore/Has")(b"\xff\xff\xff", timeout=30) and None)
attempt("too_large", lambda: channel.unary_unary("/distribute.storage.v1.ChunkStore/Has")(b"\0" * (8 << 20), timeout=30) and None)
attempt("compressed", lambda: channel.unary_unary("/distribute.storage.v1.ChunkStore/Has")(b"\0" * 1000, timeout=30, compression=grpc.Compression.Gzip) and None)
for read in given["reads"]:
    one = base64.b16decode(read["id"].upper())
    attempt("read", lambda: get(one, read["ticket"]))
    attempt("read_range", lambda: get(one, read["ticket"], 10, 1000))
    attempt("read_end", lambda: get(one, read["ticket"], read["size"] - 5))
    attempt("read_behind", lambda: get(one, read["ticket"], read["size"] + 1))
    attempt("read_other_chunk", lambda: get(sha, read["ticket"]))
futures = [node.Has.future(messages.HasRequest(ids=[sha]), timeout=30) for _ in range(500)]
attempt("many", lambda: sum(f.result().present[0] for f in futures))
attempt("no_certificate", lambda: calls.ChunkStoreStub(grpc.secure_channel(given["address"], grpc.ssl_channel_credentials(pem["server"]), options))
        .Health(messages.HealthRequest(), timeout=5) and None)
attempt("no_tls", lambda: calls.ChunkStoreStub(grpc.insecure_channel(given["address"])).Health(messages.HealthRequest(), timeout=5) and None)
attempt("health_afterwards", lambda: messages.HealthResponse.State.Name(node.Health(messages.HealthRequest(), timeout=30).state))
print(json.dumps(found))
