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


if __name__ == "__main__":
    seeds()
