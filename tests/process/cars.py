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


PRAGMA = bytes([10, 0xA1, 0x67]) + b"version" + b"\x02"


def read_index(index):
    """MultihashIndexSorted: (code of the hash function, digest) and where its section begins, in their order."""
    def take(size):
        nonlocal at
        at += size
        if at > len(index):
            raise ValueError("the index is cut off")
        return index[at - size:at]

    def number(size):
        return int.from_bytes(take(size), "little")

    codec, at = read_uvarint(index, 0)
    if codec != 0x0401:
        raise ValueError(f"another index: {codec:x}")
    entries = []
    for _ in range(number(4)):
        code = number(8)
        for _ in range(number(4)):
            width, size = number(4), number(8)
            if not size or size % width:
                raise ValueError(f"{size} bytes of {width} each")
            for _ in range(size // width):
                digest = take(width - 8)
                entries.append(((code, digest), number(8)))
    if at != len(index):
        raise ValueError("bytes behind the index")
    return entries


def read_v2(car):
    """The version 1 archive in it, and the index's entries or None; each entry must lead to its block."""
    flags, fields = car[11:27], [int.from_bytes(car[i:i + 8], "little") for i in (27, 35, 43)]
    data, index = car[fields[0]:fields[0] + fields[1]], car[fields[2]:] if fields[2] else None
    if car[:11] != PRAGMA or len(data) != fields[1] or (fields[2] or len(car)) != sum(fields[:2]) or any(flags[1:]):
        raise ValueError(f"{flags} {fields} of {len(car)} bytes")
    if index is None:
        return data, None
    entries = read_index(index)
    for (code, digest), at in entries:
        _, at = read_uvarint(data, at)
        if not data[at:at + cid_length(data, at)].endswith(uvarint(code) + uvarint(len(digest)) + digest):
            raise ValueError(f"{digest.hex()} is not at {at}")
    return data, entries


def cids(car):
    return [cid_text(cid) for cid, _ in read(car)[1]]
