"""Blocks of every codec: the same words to both programs, the answers side by side. Run by run.py."""
import json
import re

from nodes import check
from test_same import Pair, begin, finish  # noqa: F401 (run.py calls begin and finish)

EMPTY = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
RAW = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def put(p, text, *words):
    code, out, error = p.same("dag", "put", *words, stdin=text.encode())
    check(code == 0, f"dag put {text}: {error}")
    return out.strip()


class Nodes:
    """A folder, and blocks that lead to it through maps, lists and each other."""

    def __init__(self, shop, name):
        self.pair = p = Pair(shop, name)
        p.add_tree()
        self.dir, self.file = p.root, p.file
        self.cbor = put(p, '{"dir":{"/":"%s"},"v":{"s":"str","l":[1,{"/":"%s"},{"deep":{"/":"%s"}}],"n":null,"f":1.5,'
                           '"b":{"/":{"bytes":"AQID"}}},"":"emptykey"}' % (self.dir, self.file, self.dir))
        self.json = put(p, '{"c":{"/":"%s"}}' % self.cbor, "--store-codec=dag-json")
        self.plain = put(p, '{"d":1,"c":[1,2]}', "--store-codec=json", "--input-codec=json")
        self.plain_cbor = put(p, '{"c":1,"d":[1,2]}', "--store-codec=cbor")
        self.bytes = put(p, '{"/":{"bytes":"AQID"}}', "--store-codec=raw")
        self.named = put(p, '{"Data":{"/":{"bytes":""}},"Links":[{"Hash":{"/":"%s"},"Name":"x","Tsize":1}]}' % self.cbor,
                         "--store-codec=dag-pb")


def test_dag_put(shop):
    p = Pair(shop, "put")
    for text in ('{"a":1,"a":2}', '{"/":1}', "", "{", "[1", "1 2", "1e999", "x", "-0", "-0.0", "1.0", "1e3", "1e21", "1e-7",
                 "0.000001", "123456789012345678901234567890", '"\\u2028\\u0001é"', '{"/":"bafkqaaa","x":1}',
                 '{"b":1,"aa":2,"":3}', '[[],{},[{}]]', '{"/":{"bytes":"AQID","x":1}}'):
        for codec in ("dag-json", "dag-cbor", "json"):
            p.same("dag", "put", f"--store-codec={codec}", stdin=text.encode())
    for text in ("true", "{}", '{"Links":null}', '{"Data":null,"Links":[]}', '{"Links":[{}]}', '{"Links":[null]}',
                 '{"Data":{"/":{"bytes":"AQID"}},"extraneous":true}', '{"Data":{"/":{"bytes":"AQID"}}}', '{"Links":[{"Hash":1}]}',
                 '{"Links":[{"Hash":{"/":"bafkqaaa"},"Name":1}]}', '{"Links":[{"Hash":{"/":"bafkqaaa"},"Tsize":-1}]}',
                 '{"Links":[{"Hash":{"/":"bafkqaaa"},"x":1}]}', '{"Links":[{"Hash":{"/":"bafkqaaa"},"Tsize":"a"}]}',
                 '{"Links":[{"Hash":{"/":"bafkqaaa"},"Name":"b"},{"Hash":{"/":"bafkqaaa"},"Name":"a"}]}'):
        p.same("dag", "put", "--store-codec=dag-pb", stdin=text.encode())
    for text in ("a2616201616102", "1800", "1b0000000000000001", "5800", "9f01ff", "bf616101ff", "7f61616162ff", "f7", "f93e00",
                 "f90001", "fa3fc00000", "61ff", "a161610100", "a1612f01", "a2616101616102", "a1", "3b7fffffffffffffff", "d82a4101"):
        for codec in ("dag-json", "dag-cbor"):
            p.same("dag", "put", f"--store-codec={codec}", "--input-codec=dag-cbor", stdin=bytes.fromhex(text))
    for words in (["--store-codec=blah"], ["--input-codec=blah"], ["--hash=blah"], ["--store-codec=sha2-256"], ["--hash=sha1"],
                  ["--input-codec=sha2-256"], ["--hash=identity"], ["--hash=blake3"], ["--cid-base=base58btc"], ["--enc=json"],
                  ["--pin"], ["--store-codec=dag-json", "--pin=false"]):
        p.same("dag", "put", *words, stdin=b'{"a":1}')
    for name, text in (("one.json", "[1]"), ("two.json", '{"b":[]}')):
        (p.folder / name).write_text(text)
    p.same("dag", "put", "one.json")
    p.same("dag", "put", "one.json", "two.json", normal=lambda text: "\n".join(sorted(text.splitlines())))
    p.both_fail("dag", "put", "no-such-file")
    big = b'"' + 3000000 * b"a" + b'"'
    p.same("dag", "put", stdin=big)
    p.same("block", "put", stdin=big)
    p.same("pin", "ls", "--type=recursive", normal=lambda text: "\n".join(
        line for line in text.splitlines() if line.startswith("bafy")))


def test_block_put(shop):
    p = Pair(shop, "block")
    for words in (["--format=v0", "--cid-codec=dag-pb"], ["--format=nope"], ["--mhlen=10"], ["--mhlen=-1"], ["--mhtype=foo"],
                  ["--mhtype=murmur3-x64-64"], ["--mhtype=md5"], ["--format=v0", "--mhtype=sha2-512"], ["--format=v0", "--mhlen=20"],
                  ["--format=cbor"], ["--format=protobuf"], ["--format=raw"], ["--cid-codec=dag-json"], ["--cid-codec=nope"],
                  ["--mhtype=blake3", "--mhlen=64"], ["--pin"], ["-f", "v0"], ["--enc=json"], ["--cid-base=base36"],
                  ["--mhtype=SHA2-256"], ["--mhtype=sha3"], ["--mhtype=identity", "--mhlen=3"], ["--mhtype=sha2-256", "--mhlen=20"]):
        p.same("block", "put", *words, stdin=b"hello")
    hello = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
    for words in (["get", hello], ["stat", hello], ["stat", "--enc=json", hello], ["stat", "bafkqaaa"], ["get", "bafkqablimvwgy3y"],
                  ["stat", "bad"], ["rm", hello], ["rm", "--force", hello]):
        p.same("block", *words)


def test_paths(shop):
    n = Nodes(shop, "paths")
    p, c = n.pair, n.cbor
    for path in (c, f"{c}/dir", f"{c}/dir/a.txt", f"{c}/dir/sub", f"{c}/v", f"{c}/v/s", f"{c}/v/l", f"{c}/v/l/1", f"{c}/v//s", f"{c}/",
                 f"{c}/v/l/2/deep/a.txt", f"{c}/v/l/01", f"{c}/v/n", f"/ipfs/{c}/", n.json, f"{n.json}/c/dir/a.txt",
                 f"/ipfs/{n.json}/c/v/l", f"/ipld/{c}/dir/Links/0/Hash", f"/ipld/{n.dir}/Links/0/Name", f"/ipld/{n.dir}/Links/0",
                 f"/ipld/{n.file}/Data", f"{n.plain}/c", f"{n.plain_cbor}/d/1", f"{n.named}/x/dir", n.named, n.bytes,
                 # what leads nowhere
                 f"{c}/v/l/9", f"{c}/v/l/x", f"{c}/nope", f"{c}/nope/more", f"{c}/v/nope/more", f"{c}/v/s/more", f"{c}/v/n/x",
                 f"{c}/dir/nope", f"{c}/dir/nope/more", f"{c}/dir/a.txt/x", f"/ipld/{n.dir}/a.txt", f"{n.file}/x", f"{n.named}/y",
                 f"{n.bytes}/x", f"/foo/{c}", "bad"):
        for words in (["dag", "resolve"], ["dag", "get"], ["resolve"]):
            p.same(*words, path)
    for path in (c, f"{c}/v/s", f"{c}/v/l/1", f"{n.json}/c/dir", f"/ipld/{n.dir}/Links/0/Name", f"{c}/nope", f"{c}/dir/nope"):
        for words in (["dag", "resolve", "--enc=json"], ["block", "stat"], ["refs", "-r"]):
            p.same(*words, path)
    for path in (c, n.json, n.plain, n.plain_cbor, f"{c}/v", n.bytes):
        p.same("ls", path)
    for words in (["cat", f"{c}/dir/a.txt"], ["ls", f"{c}/dir"], ["cat", f"{n.json}/c/v/l/1"], ["cat", f"{c}/dir"],
                  ["refs", c], ["refs", "-r", "-u", n.json], ["refs", "-e", "-r", n.json], ["dag", "resolve", "--cid-base=base58btc", c],
                  ["resolve", "--cid-base=base36", f"{c}/dir"], ["get", "-o", "out", f"{c}/dir/sub"]):
        p.same(*words)


def test_dag_get(shop):
    n = Nodes(shop, "get")
    for codec in ("dag-json", "dag-cbor", "blah", "sha2-256"):
        for path in (n.cbor, n.dir, n.file, f"{n.cbor}/v/b", f"{n.cbor}/v/s", f"{n.cbor}/v/f", n.plain, n.plain_cbor, n.bytes):
            n.pair.same("dag", "get", f"--output-codec={codec}", path)
    for codec in ("json", "cbor", "dag-pb", "raw"):
        for path in (n.dir, n.plain, n.plain_cbor, n.bytes, f"{n.cbor}/v/b"):
            code, out, error = n.pair.same("dag", "get", f"--output-codec={codec}", path,
                                           normal=lambda text: "" if "wrong kind" in text or "arshal IPLD" in text or
                                           "ipld links" in text or text.startswith(("{\n\t\"Links", "\ufffdeLinks")) else text)


def test_dag_stat(shop):
    n = Nodes(shop, "stat")
    for words in ([n.dir], [n.file], [n.dir, n.file, n.cbor, n.json], ["--enc=json", "--progress=false", n.dir, n.cbor],
                  ["--cid-base=base58btc", n.cbor], [f"{n.cbor}/v"], [f"{n.cbor}/dir"], ["bad"], ["--offline", EMPTY]):
        n.pair.same("dag", "stat", *words)
    n.pair.same("dag", "stat", stdin=f"{n.dir}\n".encode())
    partial = put(n.pair, '{"a":{"/":"%s"},"b":{"/":"bafyreiejkvsvdq4smz44yuwhfymcuvqzavveoj2at3utujwqlllspsqr6q"}}' % n.file)
    for words in (["--progress=false", partial], ["--offline", "--progress=false", n.file, partial]):
        n.pair.same("dag", "stat", *words)


def test_pins_reach_all(shop):
    """What is pinned through dag-json and dag-cbor stays, with both."""
    n = Nodes(shop, "reach")
    n.pair.same("pin", "add", n.json)
    n.pair.same("pin", "rm", n.dir, n.file)
    n.pair.same("repo", "gc", normal=lambda text: "")
    for cid in (n.cbor, n.dir, f"{n.dir}/sub", f"{n.cbor}/v/l/1"):
        n.pair.same("block", "stat", "--offline", cid)
    n.pair.same("cat", "--offline", f"{n.json}/c/dir/a.txt")
    n.pair.same("pin", "ls", n.dir)


GIT_NAME = "0123456789abcdef0123456789abcdef01234567"
PERSON = "A U Thor <a@example.org> 1112911993 -0700"


def git_object(kind, body):
    return f"{kind} {len(body)}\0".encode() + body


def test_git(shop):
    """Objects of git as data, their links and paths, and back from what Kubo can write."""
    p = Pair(shop, "git")
    tag = f"object {GIT_NAME}\ntype commit\ntag v1\ntagger {PERSON}\n\nrelease\n"
    head = f"tree {GIT_NAME}\nparent {GIT_NAME}\nauthor {PERSON}\ncommitter {PERSON}\n"
    merged = f"mergetag object {GIT_NAME}\n type commit\n tag v1\n tagger {PERSON}\n \n release\n more\n"
    signed = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEz\n -----END PGP SIGNATURE-----\n"
    sha1 = bytes.fromhex(GIT_NAME)
    _, blob, _ = p.same("block", "put", "--cid-codec=git-raw", "--mhtype=sha1", stdin=git_object("blob", b"hello\n"))
    for words in (["dag", "get"], ["dag", "resolve"], ["refs"]):
        p.same(*words, blob.strip())
    for data in (git_object("tree", b"100644 a\0" + sha1 + b"40000 b\0" + sha1), git_object("tag", tag.encode()),
                 git_object("tag", tag.replace("\n\nrelease\n", "\n").encode()), git_object("commit", (head + "\nfirst\n").encode()),
                 git_object("commit", (head + "encoding ISO-8859-1\n" + merged + signed + "HG:x y\n\nall\n").encode())):
        _, cid, _ = p.same("block", "put", "--cid-codec=git-raw", "--mhtype=sha1", stdin=data)
        cid = cid.strip()
        for codec in ("dag-json", "dag-cbor"):
            p.same("dag", "get", f"--output-codec={codec}", cid)
            p.same("dag", "put", "--input-codec=git-raw", f"--store-codec={codec}", stdin=data)
        p.same("dag", "put", "--input-codec=git-raw", "--store-codec=git-raw", "--hash=sha1", stdin=data)
        for path in ("tree", "parents/0", "author/name", "mergetag/0/tagger/email", "object", "tag", "a/mode", "a/hash", "nope", "a/nope",
                     "author/nope", "parents/7"):
            p.same("dag", "resolve", f"{cid}/{path}")
        for path in ("author", "encoding", "mergetag/0/message", "signature", "other/0", "tagger", "type", "b/mode"):
            p.same("dag", "get", f"{cid}/{path}")
    for data in (b"", b"foo 1\0a", b"blob 2\0a"):
        p.same("dag", "put", "--input-codec=git-raw", "--store-codec=dag-json", stdin=data)


def test_jose(shop):
    p = Pair(shop, "jose")
    payload = "AXESIN69ets85WVE0ipva5M5b2mAqAZ8LME08PeAG2MxCSuV"
    for text in ({"payload": payload, "signature": "c2ln"}, {"payload": payload, "signatures": []},
                 {"payload": payload, "signatures": [{"signature": "c2ln", "protected": "e30", "header": {"b": [1, "x"], "aa": {}}}]},
                 {"ciphertext": "c2ln"}, {"ciphertext": "c2ln", "iv": "AA", "tag": "AA", "aad": "AA", "protected": "e30", "unprotected": {"k": "v"}},
                 {"ciphertext": "c2ln", "encrypted_key": "AA", "header": {"x": 1}}, {"ciphertext": "c2ln", "recipients": [{"encrypted_key": "AA"}]}):
        _, cid, _ = p.same("dag", "put", "--store-codec=dag-jose", stdin=json.dumps(text).encode())
        for codec in ("dag-json", "dag-cbor", "dag-jose"):
            p.same("dag", "get", f"--output-codec={codec}", cid.strip())
        for path in ("link", "payload", "signatures/0/header/b/1", "recipients/0/encrypted_key", "nope"):
            p.same("dag", "resolve", f"{cid.strip()}/{path}")
    for text in ("{}", '{"a":1}', '{"payload":"x"}', '{"payload":"%s"}' % payload, '{"payload":"%s","signatures":[{"x":1,"signature":""}]}' % payload,
                 '{"payload":"%s","signatures":[],"signature":""}' % payload):
        p.same("dag", "put", "--store-codec=dag-jose", stdin=text.encode(),
               normal=lambda text: text if "required" in text or "no such field" in text or "serial" in text else text.split(":")[0])


def test_cid_and_multibase(shop):
    p = Pair(shop, "cid")
    for words in (["-f=%x", EMPTY], ["-f=abc", EMPTY], ["-f=%", EMPTY], ["-v=2", EMPTY], ["-v=0", "--mc=raw", EMPTY],
                  ["-v=0", "-b=base32", EMPTY], ["-b=nope", EMPTY], ["--mc=nope", EMPTY], ["-v=0", RAW], ["-v=0", "--mc=dag-pb", RAW],
                  ["-f", "%% %b %B %v %V %c %C %h %H %L %m %M %d %D %s %S %P", "-v1", "-b", "base16", EMPTY], ["-f=%P", RAW],
                  [EMPTY, RAW], ["-b=base58btc", EMPTY], ["-b=base36", RAW], ["-v=1", EMPTY], ["--mc=dag-cbor", EMPTY],
                  ["zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA"], ["-f=%M-%m", EMPTY], ["-b=base256emoji", EMPTY]):
        p.same("cid", "format", *words)
    p.same("cid", "format", stdin=f"{EMPTY}\n{RAW}\n".encode())
    reason = re.compile(r"(invalid cid|multibase): .*")
    p.same("cid", "format", "bad", EMPTY, normal=lambda text: reason.sub("", text))
    p.same("cid", "base32", EMPTY, "bad", RAW, normal=lambda text: reason.sub("", text))
    for words in ([EMPTY], [RAW], ["bafkqaaa"], ["--enc=json", RAW], ["--enc=json", EMPTY], ["bafyrcfgjv2rc7adll4gnpljrcgdoptjftzy4z2i"],
                  ["k51qzi5uqu5dimndeof398h0m19yiwstyqlugwb48cfoc6pg6opthj52vgvswt"]):
        p.same("cid", "inspect", *words)
    p.both_fail("cid", "inspect", "bad")
    more = re.compile(r"^.*\b(base8|base10|base32z|base45)\n", re.M)  # ours knows more bases
    for words in (["cid", "bases"], ["cid", "bases", "--prefix"], ["cid", "bases", "--numeric"], ["cid", "codecs"], ["cid", "codecs", "-n"],
                  ["cid", "bases", "--prefix", "--numeric"], ["cid", "codecs", "-s"], ["cid", "hashes"], ["cid", "hashes", "-n"],
                  ["multibase", "list"]):
        p.same(*words, normal=lambda text: more.sub("", text))
    for words, data in ((["encode"], b"hello"), (["encode", "-b=base58btc"], b"\0\0hi"), (["decode"], b"f68656c6c6f"), (["encode"], b""),
                        (["encode", "-b=nope"], b"x"), (["transcode", "-b=base32"], b"f68656c6c6f"), (["transcode"], b"f68656c6c6f"),
                        (["decode"], b"uaGVs\r\nbG8\n"), (["decode"], b"MaGVsbG8=\n"), (["decode"], b"bnbswy\n3dp\n"), (["transcode"], b"CNBSWY3DP\n")):
        p.same("multibase", *words, stdin=data)
    for data in (b"f68656c6c6f\n", b"?x", b""):
        p.same("multibase", "decode", stdin=data, normal=lambda text: reason.sub("", text))


def test_object(shop):
    n = Nodes(shop, "object")
    p = n.pair
    v1 = p.same("add", "-rQ", "--cid-version=1", "tree")[1].strip()
    p.same("add", "-rQ", "tree/sub/empty")
    empty = p.last[0][1].strip()
    made = [n.dir, n.file, v1, n.cbor, empty]
    for words in (["add-link", n.dir, "new.txt", n.file], ["add-link", "-p", empty, "x/y/z", n.file], ["rm-link", n.dir, "sub/b.bin"],
                  ["add-link", n.dir, "sub/c", n.file], ["add-link", n.dir, "a.txt", n.dir], ["add-link", v1, "-p", "p/q", n.cbor],
                  ["add-link", "--allow-non-unixfs", n.file, "x", n.file], ["rm-link", v1, "a.txt"]):
        code, out, error = p.same("object", "patch", *words)
        check(code == 0, f"{words}: {error}")
        made.append(out.strip())
    for words in (["add-link", empty, "x/y", n.file], ["rm-link", n.dir, "nope"], ["rm-link", n.dir, "nope/x"], ["rm-link", n.file, "x"],
                  ["add-link", n.file, "x", n.file], ["add-link", n.dir, "", n.file], ["add-link", n.cbor, "x", n.file],
                  ["add-link", "--cid-base=base32", n.dir, "q", n.file], ["rm-link", n.dir, "a.txt/x"],
                  ["add-link", n.dir, "sub//x", n.file], ["add-link", "-p", n.dir, "sub//x", n.file]):
        p.same("object", "patch", *words)
    for a in made:
        for b in made[::3]:
            p.same("object", "diff", a, b)
    for words in (["-v", n.dir, made[5]], ["-v", made[5], made[8]], ["--enc=json", n.dir, made[5]], ["--enc=json", n.dir, n.dir],
                  ["-v", "--cid-base=base32", n.dir, made[7]]):
        p.same("object", "diff", *words)
