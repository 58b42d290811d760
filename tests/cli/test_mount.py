"""`mount`: /ipfs, /ipns and /mfs as folders of the machine."""
import contextlib
import errno
import os
import pathlib
import subprocess

from nodes import Skip, check, fails, make_bytes, wait_until

FOLDERS = ("ipfs", "ipns", "mfs")


def need_fuse():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
        done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
        usable = os.geteuid() == 0 and done.returncode == 0
    except OSError:
        usable = False
    if not usable:
        raise Skip("/dev/fuse, and the right to mount")


@contextlib.contextmanager
def mounted(shop, node):
    places = [shop.path(f"mnt-{name}") for name in FOLDERS]
    for place in places:
        pathlib.Path(place).mkdir(exist_ok=True)
    said = node.text("mount", "-f", places[0], "-n", places[1], "-m", places[2])
    check(said == f"IPFS mounted at: {places[0]}\nIPNS mounted at: {places[1]}\nMFS  mounted at: {places[2]}", said)
    try:
        yield [pathlib.Path(place) for place in places]
    finally:
        for place in places:
            subprocess.run(["umount", "-l", place], capture_output=True)


def error_of(call):
    try:
        call()
    except OSError as e:
        return e.errno
    return None


def test_read_through_mounts(shop):
    need_fuse()
    node = shop.node("a")
    source = pathlib.Path(shop.path("tree"))
    (source / "sub").mkdir(parents=True)
    data = make_bytes(3, 5000000)
    (source / "big").write_bytes(data)
    (source / "sub" / "small").write_text("small")
    (source / "link").symlink_to("sub/small")
    many = source / "many"
    many.mkdir()
    for i in range(3000):
        (many / f"entry-{i:05}").write_text(str(i))
    root = node.text("add", "-Qr", "--preserve-mtime", source)
    node.text("files", "cp", f"/ipfs/{root}", "/tree")
    with mounted(shop, node) as (ipfs, ipns, mfs):
        for top in (ipfs / root, mfs / "tree"):
            check(sorted(os.listdir(top)) == ["big", "link", "many", "sub"], f"{os.listdir(top)}")
            check((top / "big").read_bytes() == data and (top / "sub" / "small").read_text() == "small", "what was added")
            with open(top / "big", "rb") as file:
                for at in (4999990, 17, 262144):
                    file.seek(at)
                    check(file.read(1000) == data[at:at + 1000], f"a part at {at}")
            check(os.readlink(top / "link") == "sub/small" and (top / "link").read_text() == "small", "a link")
            check(sorted(os.listdir(top / "many")) == sorted(os.listdir(many)), "all entries, each once")
            check(int((top / "big").stat().st_mtime) == int((source / "big").stat().st_mtime) and (top / "big").stat().st_size == len(data), "its attributes")
            check(error_of(lambda: (top / "absent").read_bytes()) == errno.ENOENT, "what is not there")
            check(error_of(lambda: (top / "new").write_text("x")) == errno.EROFS, "nothing is written")
        check(error_of(lambda: os.listdir(ipfs)) == errno.EPERM and error_of(lambda: (ipfs / "nothing").stat()) == errno.ENOENT, "the root has no list")
        check(subprocess.run(["diff", "-r", source, ipfs / root], capture_output=True).returncode == 0, "the same tree")
        node.text("files", "write", "--create", "/note", stdin=b"one")
        check((mfs / "note").read_text() == "one", "what has just been written")
        node.text("files", "write", "--truncate", "/note", stdin=b"another")
        check((mfs / "note").read_text() == "another" and sorted(os.listdir(mfs)) == ["note", "tree"], "what has changed")
        node.text("name", "publish", "--allow-offline", "--quieter", root)
        check(sorted(os.listdir(ipns)) == sorted([node.peer_id, "self"]), f"{os.listdir(ipns)}")
        check(os.readlink(ipns / "self") == node.peer_id and os.readlink(ipns / node.peer_id) == f"{ipfs}/{root}", "links")
        check((ipns / "self" / "sub" / "small").read_text() == "small", "through both")
        held = open(ipfs / root / "big", "rb")
        check(held.read(10) == data[:10], "open")
        node.stop()
        check(not any(os.path.ismount(place) for place in (ipfs, ipns, mfs)), "unmounted with the node")
        held.close()


def test_mount_again_and_after_a_kill(shop):
    need_fuse()
    node = shop.node("a")
    cid = node.text("add", "-Q", "--cid-version=1", stdin=b"hello")
    with mounted(shop, node) as (ipfs, _, _):
        with mounted(shop, node) as (again, _, _):
            check((again / cid).read_text() == "hello", "mounted once more")
        wait_until(lambda: not os.path.ismount(ipfs), 10, "the folder is empty again")
    with mounted(shop, node) as (ipfs, ipns, mfs):
        check((ipfs / cid).read_text() == "hello", "and again")
        node.kill()
        check(error_of(lambda: (ipfs / cid).read_text()) in (errno.ENOTCONN, errno.ECONNABORTED), "nobody answers")
        node.start("--mount", "--mount-ipfs", ipfs, "--mount-ipns", ipns, "--mount-mfs", mfs)
        check((ipfs / cid).read_text() == "hello", "mounted with the node's start")
        node.stop()


def test_mount_refusals(shop):
    node = shop.node("a")
    fails(node, "mount", "-f", shop.path("absent"), saying="absent|permitted|fusermount3|/dev/fuse")
    fails(node, "mount", "-f", "relative", saying="mountpoint is a path")
    node.stop()
    fails(node, "mount", saying="online|daemon|node")
