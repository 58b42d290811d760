"""CAR archives, in and out, for tests. Spec: ipld/ipld specs/transport/car."""
import base64
import hashlib

SHA2_256, RAW = 0x12, 0x55
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def read_uvarint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def raw_cid(data):
    """The binary CIDv1 of a raw block."""
    return bytes([1, RAW, SHA2_256, 32]) + hashlib.sha256(data).digest()


def cid_text(cid):
    if cid[0] == SHA2_256:
        number, text = int.from_bytes(cid, "big"), ""
        while number:
            number, digit = divmod(number, 58)
            text = BASE58[digit] + text
        return text
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def cid_length(data, at):
    if data[at:at + 2] == bytes([SHA2_256, 32]):
        return 34
    start = at
    for _ in range(3):
        _, at = read_uvarint(data, at)
    size, at = read_uvarint(data, at)
    return at + size - start


def header(roots):
    items = b"".join(b"\xd8\x2a\x58" + bytes([len(r) + 1]) + b"\0" + r for r in roots)
    assert len(roots) < 24
    cbor = b"\xa2\x65roots" + bytes([0x80 + len(roots)]) + items + b"\x67version\x01"
    return uvarint(len(cbor)) + cbor


def section(cid, data):
    return uvarint(len(cid) + len(data)) + cid + data


def write(roots, blocks):
    """blocks: pairs of binary CID and bytes."""
    return header(roots) + b"".join(section(*pair) for pair in blocks)


def read(car):
    """The header's bytes, and the blocks as pairs of binary CID and bytes; each block must hash to its CID."""
    size, at = read_uvarint(car, 0)
    head, at, blocks = car[at:at + size], at + size, []
    while at < len(car):
        size, at = read_uvarint(car, at)
        if at + size > len(car):
            raise ValueError("the archive is cut off")
        length = cid_length(car, at)
        cid, data = car[at:at + length], car[at + length:at + size]
        if cid[-34:-32] == bytes([SHA2_256, 32]) and hashlib.sha256(data).digest() != cid[-32:]:
            raise ValueError(f"{cid_text(cid)} does not hash to its CID")
        blocks.append((cid, data))
        at += size
    return head, blocks


def cids(car):
    return [cid_text(cid) for cid, _ in read(car)[1]]
