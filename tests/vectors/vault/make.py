#!/usr/bin/env python3
"""Computes the vectors of encrypted files, and the seeds of their fuzz targets, from decision 031 alone: with Python's
hmac and hashlib and the `cryptography` package, without a line of Distribute. Run it in this folder; it is deterministic.
"""
import hashlib
import hmac
import pathlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parent.parent / "corpus"


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), "sha256").digest()


# ── DAG-CBOR, as much of it as is needed ────────────────────────────────────────────────────────
class Link(bytes):
    """A binary CID."""


def head(major, value):
    for limit, extra, size in ((24, None, 0), (1 << 8, 24, 1), (1 << 16, 25, 2), (1 << 32, 26, 4), (1 << 64, 27, 8)):
        if value < limit:
            first = bytes([major << 5 | (value if extra is None else extra)])
            return first + (value.to_bytes(size, "big") if size else b"")
    raise ValueError(value)


def cbor(value):
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, Link):
        return head(6, 42) + head(2, len(value) + 1) + b"\0" + bytes(value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    keys = sorted(value, key=lambda k: (len(k.encode()), k.encode()))
    return head(5, len(keys)) + b"".join(cbor(k) + cbor(value[k]) for k in keys)


def cid(codec, block):
    return Link(b"\x01" + bytes([codec]) + b"\x12\x20" + sha256(block))


RAW, DAG_CBOR = 0x55, 0x71


# ── owners ──────────────────────────────────────────────────────────────────────────────────────
class Owner:
    def __init__(self, seed):
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, what, message):
        return self.key.sign(what + b"\0" + message)


def manifest_block(owner, clear, sealed):
    signature = owner.sign(b"distribute-manifest-v1", sha256(cbor(clear)) + sha256(sealed))
    return cbor({"clear": clear, "sealed": sealed, "signature": signature})


def tombstone(owner, manifest):
    signature = owner.sign(b"distribute-tombstone-v1", bytes(manifest))
    return cbor({"v": 1, "owner": owner.public, "manifest": manifest, "signature": signature})


def pb(number, data):
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])
    return varint(number << 3 | 2) + varint(len(data)) + data


def receipt(holder, owner, manifest, at_ms):
    def prefixed(data):
        assert len(data) < 128 or len(data) < 16384
        n = len(data)
        return (bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7])) + data
    payload = cbor({"v": 1, "at": at_ms, "kind": 1, "owner": owner.public, "manifest": manifest})
    kind = b"/distribute/mesh/receipt"
    signed = prefixed(b"distribute-mesh-receipt") + prefixed(kind) + prefixed(payload)
    public = b"\x08\x01" + pb(2, holder.public)
    return pb(1, public) + pb(2, kind) + pb(3, payload) + pb(5, holder.key.sign(signed))


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def seeds():
    owner, other = Owner(b"\1" + bytes(31)), Owner(b"\2" * 32)
    links = [cid(RAW, b"one"), cid(DAG_CBOR, b"two")]
    clear = {"v": 1, "salt": b"\1" * 32, "check": b"\2" * 32, "epoch": 300, "links": links, "owner": owner.public,
             "wrapped": b"\3" * 48}
    block = manifest_block(owner, clear, b"sealed")
    node = cbor({"clear": {"v": 1, "node": 7, "links": links}, "sealed": b"sealed too"})
    write(CORPUS / "manifest_fuzz/manifest", block)
    write(CORPUS / "manifest_fuzz/node", node)
    write(CORPUS / "manifest_fuzz/later-version", block.replace(b"\x61v\x01", b"\x61v\x02", 1))
    write(CORPUS / "manifest_fuzz/hex-name", sha256(block).hex().encode())
    write(CORPUS / "tombstone_fuzz/tombstone", tombstone(owner, cid(DAG_CBOR, block)))
    write(CORPUS / "tombstone_fuzz/foreign", tombstone(other, cid(DAG_CBOR, block)))
    write(CORPUS / "tombstone_fuzz/receipt", receipt(other, owner, cid(DAG_CBOR, block), 1700000000123))


# ── the vault ───────────────────────────────────────────────────────────────────────────────────
CHUNK, LINKS = 262144, 1024


def derive(key, label, about=b""):
    return mac(key, b"distribute-vault-v1 " + label, about)


def aes_ctr(key, text):
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(text)


def padded(text):
    n = len(text)
    if n <= 256:
        return text.ljust(256, b"\0")
    exponent = n.bit_length() - 1
    mask = (1 << exponent - exponent.bit_length()) - 1
    return text.ljust((n + mask) & ~mask, b"\0")


class Keys:
    def __init__(self, secrets):
        self.epochs = [derive(secrets[0], b"epoch 0")] + secrets[1:]
        self.dedup = derive(secrets[0], b"dedup")
        self.owner = Owner(derive(secrets[0], b"sign"))


class Chunks:
    """The chunks of zeros are made once."""

    def __init__(self, dedup):
        self.dedup, self.known = dedup, {}

    def seal(self, plain):
        digest = sha256(plain)
        if digest not in self.known:
            key = mac(self.dedup, digest)
            self.known[digest] = (cid(RAW, aes_ctr(key, plain)), key)
        return self.known[digest]


def sealed_part(file_key, salt, number, clear, contents):
    plain = cbor(contents)
    plain += bytes(-len(plain) % 256)
    nonce = bytes(4) + number.to_bytes(8, "big")
    return AESGCM(derive(file_key, b"seal", salt)).encrypt(nonce, plain, cbor(clear))


def file_block(keys, salt, file_key, name, media_type, mode, mtime, size, pieces):
    """The CIDs of all chunks and the block of the manifest."""
    chunks = Chunks(keys.dedup)
    level = [chunks.seal(piece) for piece in pieces]
    all_chunks = [link for link, _ in level]
    number = height = 0
    pending = [[]]  # by level, as a writer makes them: a node is sealed when the next link comes

    def seal_node(at):
        nonlocal number
        number += 1
        links = [link for link, _ in pending[at]]
        clear = {"v": 1, "node": number, "links": links}
        keys_part = b"".join(key for _, key in pending[at]) if at == 0 else b""
        block = cbor({"clear": clear,
                      "sealed": sealed_part(file_key, salt, number, clear, {"keys": keys_part, "entries": []})})
        pending[at] = []
        if at + 1 == len(pending):
            pending.append([])
        add(at + 1, (cid(DAG_CBOR, block), b""))

    def add(at, entry):
        if len(pending[at]) == LINKS:
            seal_node(at)
        pending[at].append(entry)

    for entry in level:
        add(0, entry)
    while height + 1 < len(pending):
        seal_node(height)
        height += 1
    epoch = len(keys.epochs) - 1
    wrapped = AESGCM(derive(keys.epochs[epoch], b"wrap", salt)).encrypt(
        bytes(12), file_key, keys.owner.public + epoch.to_bytes(8, "big"))
    clear = {"v": 1, "salt": salt, "check": derive(file_key, b"check", salt), "epoch": epoch,
             "links": [link for link, _ in pending[height]], "owner": keys.owner.public, "wrapped": wrapped}
    contents = {"keys": b"" if height else b"".join(key for _, key in pending[0]), "kind": 0, "mode": mode, "name": name,
                "size": size, "type": media_type, "mtime": mtime, "height": height, "entries": []}
    return all_chunks, manifest_block(keys.owner, clear, sealed_part(file_key, salt, 0, clear, contents))


def content_of(spec):
    kind, size = spec.split(":")
    size = int(size)
    for at in range(0, size, CHUNK):
        n = min(CHUNK, size - at)
        piece = bytes(n) if kind == "zero" else bytes((at + i) % 251 for i in range(n))
        yield piece if n == CHUNK else padded(piece)


FILES = [
    # secrets, content, name, type, mode, mtime
    ([b"\x11" * 32], "zero:0", "empty", "", [], []),
    ([b"\x11" * 32], "mod251:1", "a", "text/plain", [0o644], [1700000000]),
    ([b"\x22" * 32], "mod251:1", "a", "text/plain", [0o644], [1700000000]),
    ([b"\x11" * 32], "mod251:262144", "one chunk", "", [], []),
    ([b"\x11" * 32], "mod251:300000", "\u00fcml\u00e4ut.txt", "application/octet-stream", [0o600], []),
    ([b"\x11" * 32, b"\x33" * 32], "mod251:1000000", "of the second epoch", "", [], [0]),
    ([b"\x11" * 32], "zero:268435456", "just full", "", [], []),
    ([b"\x11" * 32], "zero:268435457", "a tree", "", [], []),
    ([b"\x11" * 32], "zero:537133056", "a tree of two and a bit", "", [], []),
]


def vectors():
    rows = [["secrets", "content", "name", "type", "mode", "mtime", "salt", "file_key", "first_chunk", "last_chunk", "cid",
             "manifest"]]
    for i, (secrets, content, name, media_type, mode, mtime) in enumerate(FILES):
        salt, file_key = sha256(b"salt %d" % i), sha256(b"file key %d" % i)
        chunks, block = file_block(Keys(secrets), salt, file_key, name, media_type, mode, mtime,
                                   int(content.split(":")[1]), content_of(content))
        ends = [chunks[0].hex(), chunks[-1].hex()] if chunks else ["", ""]
        rows.append(["".join(s.hex() for s in secrets), content, name, media_type, *(str(v[0]) if v else "" for v in (mode, mtime)),
                     salt.hex(), file_key.hex(), *ends, bytes(cid(DAG_CBOR, block)).hex(), block.hex() if len(block) < 4096 else ""])
    write(HERE / "files.tsv", "".join("\t".join(row) + "\n" for row in rows).encode())


def records():
    """A tombstone and a receipt, and what they name."""
    owner, holder = Owner(b"\x44" * 32), Owner(b"\x55" * 32)
    manifest = cid(DAG_CBOR, b"a manifest")
    rows = [["what", "owner", "manifest", "at_ms", "record", "set_key"],
            ["tombstone", owner.public.hex(), bytes(manifest).hex(), "", tombstone(owner, manifest).hex(),
             sha256(bytes(manifest)[2:] + owner.public).hex()],
            ["receipt", owner.public.hex(), bytes(manifest).hex(), "1700000000123",
             receipt(holder, owner, manifest, 1700000000123).hex(), ""]]
    write(HERE / "records.tsv", "".join("\t".join(row) + "\n" for row in rows).encode())


def key_files():
    """A key file in the clear, one under a passphrase, and their words."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    words = sorted(" ".join(line.strip().strip('"') for line in
                            (HERE.parents[2] / "src/vault/words_english.inc").read_text().splitlines()[1:]).split())

    def mnemonic(data, n_words):
        bits = "".join(f"{byte:08b}" for byte in data)
        return [words[int(bits[11 * i:11 * i + 11], 2)] for i in range(n_words)]

    rows = [["secrets", "passphrase", "file", "words"]]
    for secrets, passphrase in (([b"\x11" * 32], ""), ([bytes(range(32)), b"\x33" * 32], "open sesame")):
        salt = sha256(b"salt")[:16] if passphrase else b""
        cost, passes = (8, 2) if passphrase else (0, 0)
        key = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=cost * 1024).derive(
            passphrase.encode()) if passphrase else bytes(32)
        sealed = AESGCM(key).encrypt(bytes(12), b"".join(secrets), b"distribute-vault-key-v1")
        text = [word for s in secrets for word in mnemonic(s + sha256(s)[:1], 24)]
        if len(secrets) > 1:
            text += mnemonic(sha256(b"".join(secrets)), 2)
        rows.append(["".join(s.hex() for s in secrets), passphrase,
                     cbor({"v": 1, "cost": cost, "keys": sealed, "salt": salt, "passes": passes}).hex(), " ".join(text)])
    # what is sealed: behind a byte that says where
    entry = {"key": b"\7" * 32, "kind": 0, "name": "f", "size": 10}
    of_file = {"keys": b"\5" * 64, "kind": 0, "mode": [420], "name": "f", "size": 300000, "type": "text/plain", "mtime": [],
               "height": 0, "entries": []}
    of_folder = {**of_file, "keys": b"", "kind": 1, "entries": [entry, {**entry, "name": "g"}]}
    for name, how, contents in (("file", 2 << 3, of_file), ("folder", 2 << 3 | 4, of_folder),
                                ("node", 2 << 3 | 1, {"keys": b"\5" * 64, "entries": []}),
                                ("entries", 2 << 3 | 7, {"keys": b"", "entries": of_folder["entries"]}),
                                ("inner", 2 << 3 | 1 << 6 | 5, {"keys": b"", "entries": []})):
        write(CORPUS / "contents_fuzz" / name, bytes([how]) + cbor(contents) + bytes(8))
    write(HERE / "keys.tsv", "".join("\t".join(row) + "\n" for row in rows).encode())
    for i, row in enumerate(rows[1:]):
        write(CORPUS / f"vault_key_fuzz/file-{i}", bytes.fromhex(row[2]))
        write(CORPUS / f"vault_key_fuzz/words-{i}", row[3].encode())


if __name__ == "__main__":
    seeds()
    vectors()
    records()
    key_files()
