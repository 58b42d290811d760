"""`mount`: /ipfs, /ipns and /mfs as folders of the machine."""
import contextlib
import errno
import mmap
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time

from nodes import Node, Skip, check, fails, make_bytes, wait_until
from test_faults import SmallDisk

FOLDERS = ("ipfs", "ipns", "mfs")
MIB, NOBODY = 1 << 20, 65534


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
        check(error_of(lambda: (ipfs / root / "new").write_text("x")) == errno.EROFS, "nothing is written")
        check(os.getxattr(mfs / "tree", "ipfs.cid").decode() == root == os.getxattr(ipfs / root, "ipfs.cid").decode(), "the CID as an attribute")
        check(os.listxattr(mfs / "tree" / "big") == ["ipfs.cid"] and error_of(lambda: os.getxattr(mfs / "tree", "user.x")) == errno.ENODATA, "no other attribute")
        room, disk = os.statvfs(mfs), os.statvfs(source)
        check(room.f_blocks * room.f_frsize == disk.f_blocks * disk.f_frsize and room.f_bavail > 0, "the room of the disk")
        check(error_of(lambda: os.listdir(ipfs)) == errno.EPERM and error_of(lambda: (ipfs / "nothing").stat()) == errno.ENOENT, "the root has no list")
        check(subprocess.run(["diff", "-r", source, ipfs / root], capture_output=True).returncode == 0, "the same tree")
        node.text("files", "write", "--create", "/note", stdin=b"one")
        check((mfs / "note").read_text() == "one", "what has just been written")
        node.text("files", "write", "--truncate", "/note", stdin=b"another")
        check((mfs / "note").read_text() == "another" and sorted(os.listdir(mfs)) == ["note", "tree"], "what has changed")
        node.text("key", "gen", "other")
        node.text("name", "publish", "--allow-offline", "--quieter", "--key=other", root)
        key = os.readlink(ipns / "other")
        check(sorted(os.listdir(ipns)) == sorted([node.peer_id, "self", key, "other"]), f"{os.listdir(ipns)}")
        check(os.readlink(ipns / "self") == node.peer_id and os.readlink(ipns / key) == f"{ipfs}/{root}", "links")
        check((ipns / "other" / "sub" / "small").read_text() == "small", "through both")
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
    fails(node, "mount", "-f", "relative", saying="relative must be named from /")
    node.stop()
    fails(node, "mount", saying="online|daemon|node")


def run(*words, cwd=None):
    done = subprocess.run(words, capture_output=True, cwd=cwd, text=True, timeout=120)
    check(done.returncode == 0, f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def sample_tree(top):
    (top / "a" / "b").mkdir(parents=True)
    for i in range(40):
        (top / "a" / f"file-{i}").write_bytes(make_bytes(i, i * 3001))
    (top / "a" / "b" / "big").write_bytes(make_bytes(99, 3 << 20))
    (top / "empty").mkdir()
    (top / "link").symlink_to("a/b/big")
    return top


def test_write_through_mount(shop):
    need_fuse()
    node = shop.node("a")
    with mounted(shop, node) as (_, _, mfs):
        file = mfs / "file"
        with open(file, "xb") as f:
            check(os.fstat(f.fileno()).st_size == 0 and file.stat().st_mode == 0o100644, "made")
            f.write(b"hello")
            f.flush()
            check(file.stat().st_size == 5 and file.read_bytes() == b"hello", "what is written is seen before it is closed")
            os.fsync(f.fileno())
            check(node.text("files", "read", "/file") == "hello", "given at fsync")
        check(error_of(lambda: open(file, "xb")) == errno.EEXIST, "made once")
        with open(file, "ab") as one, open(file, "ab") as other:
            for i in range(10):
                (one if i % 2 else other).write(b"%d" % i)
                one.flush()
                other.flush()
        check(file.read_bytes() == b"hello0123456789", "two who append")
        os.truncate(file, 3)
        check(file.read_bytes() == b"hel", "cut")
        with open(file, "r+b") as f:
            f.truncate(10)
            f.seek(8)
            f.write(b"!")
        check(file.read_bytes() == b"hel\0\0\0\0\0!\0", "a gap is zeros")
        with open(mfs / "sparse", "wb") as f:
            f.seek(100000)
            f.write(b"end")
        check((mfs / "sparse").read_bytes() == bytes(100000) + b"end", "behind a gap")
        file.write_bytes(b"other")
        check(file.read_bytes() == b"other" and node.text("files", "read", "/file") == "other", "written over")
        (mfs / "dir").mkdir()
        check(error_of((mfs / "dir").mkdir) == errno.EEXIST and (mfs / "dir").stat().st_mode == 0o40755, "a folder")
        os.rename(file, mfs / "dir" / "moved")
        check(error_of((mfs / "dir").rmdir) == errno.ENOTEMPTY and not file.exists(), "not empty")
        (mfs / "dir2").mkdir()
        check(error_of(lambda: os.rename(mfs / "dir2", mfs / "dir")) == errno.ENOTEMPTY, "not in the place of what is full")
        check(error_of(lambda: os.rename(mfs / "dir", mfs / "dir" / "in")) == errno.EINVAL, "not into itself")
        os.rename(mfs / "dir", mfs / "dir2")
        check((mfs / "dir2" / "moved").read_text() == "other" and not (mfs / "dir").exists(), "in the place of what is empty")
        check(error_of(lambda: (mfs / ("n" * 256)).write_text("")) == errno.ENAMETOOLONG and error_of(lambda: (mfs / ("n" * 300)).mkdir()) == errno.ENAMETOOLONG, "a name")
        (mfs / ("ü" * 127)).write_text("x")
        (mfs / "link").symlink_to("dir2/moved")
        check((mfs / "link").read_text() == "other" and (mfs / "link").is_symlink() and os.readlink(mfs / "link") == "dir2/moved", "a link")
        check(error_of(lambda: os.truncate(mfs / "sparse", 1 << 50)) == errno.EFBIG, "too large")
        check(error_of(lambda: os.link(file, mfs / "hard")) is not None and error_of(lambda: os.mkfifo(mfs / "fifo")) is not None, "neither hard links nor pipes")
        with open(mfs / "gone", "w+b") as f:
            f.write(b"still ")
            f.flush()
            (mfs / "gone").unlink()
            f.write(b"here")
            f.flush()
            f.seek(0)
            check(f.read() == b"still here" and os.fstat(f.fileno()).st_size == 10 and not (mfs / "gone").exists(), "removed while it is open")
            (mfs / "gone").write_text("another")
        check((mfs / "gone").read_text() == "another", "by the same name")
        os.chmod(mfs / "gone", 0o600)
        os.utime(mfs / "gone", (1, 2))
        check((mfs / "gone").stat().st_mode == 0o100644 and (mfs / "gone").stat().st_mtime == 0, "mode and time are not kept by default")
        (mfs / "later").mkdir()
        wait_until(lambda: "later" in node.text("files", "ls", "/"), 10, "names are there, too")
    node.stop()


def test_real_tools_write(shop):
    need_fuse()
    for tool in ("git", "tar", "cp"):
        if not shutil.which(tool):
            raise Skip(tool)
    node = shop.node("a")
    source = sample_tree(pathlib.Path(shop.path("sample")))
    with mounted(shop, node) as (ipfs, _, mfs):
        run("cp", "-r", source, mfs / "copy")
        run("diff", "-r", "--no-dereference", source, mfs / "copy")
        run("tar", "cf", mfs / "all.tar", "-C", source, ".")
        (mfs / "out").mkdir()
        run("tar", "xf", mfs / "all.tar", "-C", mfs / "out")
        run("diff", "-r", "--no-dereference", source, mfs / "out")
        run("diff", "-r", "--no-dereference", source, ipfs / node.text("files", "stat", "--hash", "/out"))
        run("rm", "-r", mfs / "copy")
        check(not (mfs / "copy").exists(), "removed")
        repo = pathlib.Path(shop.path("repo"))
        run("git", "init", "-q", repo)
        shutil.copytree(source, repo / "tree", symlinks=True)
        git = ("git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false")
        run(*git, "add", ".", cwd=repo)
        run(*git, "commit", "-qm", "one", cwd=repo)
        run("git", "clone", "-q", "--no-hardlinks", repo, mfs / "clone")
        (mfs / "clone" / "tree" / "empty").mkdir()  # git does not keep it
        run("diff", "-r", "--no-dereference", repo / "tree", mfs / "clone" / "tree")
        (mfs / "clone" / "new").write_text("new")
        run(*git, "add", ".", cwd=mfs / "clone")
        run(*git, "commit", "-qm", "two", cwd=mfs / "clone")
        run("git", "fsck", "--full", cwd=mfs / "clone")
        check(run("git", "status", "--porcelain", cwd=mfs / "clone") == "", "clean")
        for i in range(20):  # as editors save
            with open(mfs / ".note.swp", "w") as f:
                f.write(f"text {i}")
                f.flush()
                os.fsync(f.fileno())
            os.replace(mfs / ".note.swp", mfs / "note")
            check((mfs / "note").read_text() == f"text {i}" and not (mfs / ".note.swp").exists(), "saved")
        node.kill()
        subprocess.run(["umount", "-l", mfs], capture_output=True)
        node.start()
        check(node.text("files", "read", "/note") in ("text 18", "text 19"), "one of the last two, whole")
    node.stop()


def test_random_writes_through_mount(shop):
    """Many small writes anywhere, by several writers in one file, beside the same on the disk."""
    need_fuse()
    node = shop.node("a")
    size, block = 4 << 20, 4096
    with mounted(shop, node) as (_, _, mfs):
        target, model = mfs / "random", bytearray(size)
        target.write_bytes(bytes(size))
        source = random.Random(5)
        files = [open(target, "r+b", buffering=0) for _ in range(3)]
        for i in range(300):
            at, data = source.randrange(size - block), source.randbytes(source.choice((1, 100, block)))
            os.pwrite(files[i % 3].fileno(), data, at)
            model[at:at + len(data)] = data
            if i % 50 == 49:
                os.fsync(files[i % 3].fileno())
                check(os.pread(files[0].fileno(), size, 0) == model, "as written")
        with mmap.mmap(files[0].fileno(), size) as m:
            m[5000:5005] = b"mmap!"
            model[5000:5005] = b"mmap!"
            m.flush()
        for file in files:
            file.close()
        check(target.read_bytes() == model and node.run("files", "read", "/random").stdout == bytes(model), "all of it")

        def write_own(i):
            for k in range(30):
                (mfs / f"own-{i}").write_bytes(b"%d" % k * 1000 * (i + 1))
                os.rename(mfs / f"own-{i}", mfs / f"kept-{i}-{k % 3}")

        threads = [threading.Thread(target=write_own, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(6):
            for k in range(27, 30):
                check((mfs / f"kept-{i}-{k % 3}").read_bytes() == b"%d" % k * 1000 * (i + 1), "each its own")
    node.stop()


def test_stop_with_open_files(shop):
    need_fuse()
    node = shop.node("a")
    with mounted(shop, node) as (_, _, mfs):
        f = open(mfs / "open", "wb", buffering=0)
        f.write(b"not closed, not synced")
        synced = open(mfs / "synced", "wb", buffering=0)
        synced.write(b"synced")
        os.fsync(synced.fileno())
        synced.write(b" and more")
        node.stop()
        check(not os.path.ismount(mfs) and error_of(lambda: f.write(b"x")) is not None, "unmounted with the node")
        for file in (f, synced):
            with contextlib.suppress(OSError):
                file.close()
    node.start()
    check(node.text("files", "read", "/open") == "not closed, not synced" and node.text("files", "read", "/synced") == "synced and more", "a node that stops keeps what was written")
    with mounted(shop, node) as (_, _, mfs):
        f = open(mfs / "synced", "wb", buffering=0)
        f.write(b"durable")
        os.fsync(f.fileno())
        f.write(b" lost")
        node.kill()
        with contextlib.suppress(OSError):
            f.close()
    node.start()
    check(node.text("files", "read", "/synced") == "durable", "what fsync has answered for")
    node.stop()


def test_mode_and_time_through_mount(shop):
    need_fuse()
    node = shop.node("a")
    node.text("config", "--json", "Mounts.StoreMode", "true")
    node.text("config", "--json", "Mounts.StoreMtime", "true")
    with mounted(shop, node) as (_, _, mfs):
        before = int(time.time())
        (mfs / "f").write_text("x")
        check(before <= (mfs / "f").stat().st_mtime <= time.time() + 1, "now")
        os.chmod(mfs / "f", 0o4640)
        os.utime(mfs / "f", (1, 1234567890.5))
        (mfs / "d").mkdir(mode=0o700)
        os.utime(mfs / "d", (1, 1234567891))
        st, dir_st = (mfs / "f").stat(), (mfs / "d").stat()
        check(st.st_mode == 0o100640 and st.st_mtime == 1234567890.5, f"{st}")
        check(dir_st.st_mode == 0o40700 and dir_st.st_mtime == 1234567891, f"{dir_st}")
        (mfs / "l").symlink_to("x")
        os.utime(mfs / "l", (1, 2), follow_symlinks=False)
        with open(mfs / "f", "ab") as file:  # by others, while a program has not flushed what it wrote
            file.write(b"y")
            os.write(file.fileno(), b"z")
            node.text("files", "chmod", "0604", "/f")
            node.text("files", "touch", "--mtime=1234567892", "/f")
            st = os.fstat(file.fileno())
            check(st.st_mode == 0o100604 and st.st_mtime == 1234567892 and st.st_size == 2, f"{st}")
        st = (mfs / "f").stat()
        check(st.st_mode == 0o100604 and (mfs / "f").read_bytes() == b"xzy", f"{st}")
    check("604" in node.text("files", "stat", "--format=<mode-octal>", "/f"), "in the tree")
    node.stop()


def test_same_file_as_files_write(shop):
    """A copy has the blocks that `files write` makes of the same bytes, in trees of several depths, whatever the size of its writes."""
    need_fuse()
    for version in (0, 1):
        config = {"Import__UnixFSChunker": "size-1024", "Import__CidVersion": version, "Import__UnixFSRawLeaves": version == 1}
        node = shop.node(f"v{version}", config=config)
        with mounted(shop, node) as (_, _, mfs):
            for size in (0, 1, 1025, 3 << 20, (7 << 20) + 77):
                source = shop.file(f"source-{size}", size)
                node.run("files", "write", "--create", "/written", stdin=source.read_bytes())
                run("cp", source, mfs / "copy")
                run("dd", f"if={source}", f"of={mfs / 'pieces'}", "bs=100001", "status=none")
                want = node.text("files", "stat", "--hash", "/written")
                for name in ("copy", "pieces"):
                    got = node.text("files", "stat", "--hash", f"/{name}")
                    check(got == want, f"{name} of {size} bytes, CIDv{version}: {got}, not {want}")
                for name in ("written", "copy", "pieces"):
                    (mfs / name).unlink()
        node.stop()


def write_much(path, mib):
    """The errno of a write, fsync or close."""
    def go():
        with open(path, "wb", buffering=0) as f:
            for i in range(mib):
                f.write(make_bytes(i, MIB))
            os.fsync(f.fileno())
    return error_of(go)


def test_full_disk_through_mount(shop):
    need_fuse()
    with SmallDisk(shop, "disk", 40) as disk:
        node = Node(shop.program, disk, "repo")
        shop.daemons.append(node)
        node.start()
        with mounted(shop, node) as (_, _, mfs):
            (mfs / "kept").write_bytes(make_bytes(1, MIB))
            before = os.statvfs(mfs)
            check(before.f_blocks * before.f_frsize == 40 * MIB, "the size of the disk")
            check(write_much(mfs / "large", 64) == errno.ENOSPC, "a file that does not fit")
            kept = os.open(mfs / "kept", os.O_RDWR)
            said = [error_of(lambda: os.pwrite(kept, make_bytes(100 + i, MIB), MIB * (1 + i))) for i in range(64)]
            check(errno.ENOSPC in said and said[-1] == errno.ENOSPC and set(said) <= {None, errno.ENOSPC}, f"one that grows: {said}")
            check(error_of(lambda: os.fsync(kept)) == errno.ENOSPC, "fsync says it, too")
            check(error_of(lambda: os.close(kept)) == errno.ENOSPC, "and close")
            check((mfs / "kept").read_bytes()[:MIB] == make_bytes(1, MIB) and "kept" in os.listdir(mfs), "what was there is there")
            check(subprocess.run(["cp", shop.file("source", 64 * MIB), mfs / "copy"], capture_output=True, text=True).stderr.strip().endswith("No space left on device"), "cp says so")
            for name in ("large", "copy"):
                with contextlib.suppress(FileNotFoundError):
                    (mfs / name).unlink()
            os.truncate(mfs / "kept", MIB)
            node.run("repo", "gc")
            check(write_much(mfs / "again", 2) is None and (mfs / "again").read_bytes() == make_bytes(0, MIB) + make_bytes(1, MIB), "room again")
            check("error" not in node.text("repo", "verify").lower(), "all blocks are whole")
        node.kill()
        node.start()
        check(node.run("files", "read", "/kept").stdout == make_bytes(1, MIB), "also after a kill")
        node.stop()


def as_nobody(call):
    """The errno with which it fails for another user; None when it does not."""
    child = os.fork()
    if not child:
        code = 255
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            code = error_of(call) or 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or None


def test_permissions_through_mount(shop):
    need_fuse()
    os.chmod(shop.folder, 0o755)
    alone = shop.node("alone")
    with mounted(shop, alone) as (_, _, mfs):
        (mfs / "f").write_text("x")
        check(as_nobody(lambda: (mfs / "f").read_text()) == errno.EACCES and as_nobody(lambda: os.listdir(mfs)) == errno.EACCES, "the folders are their user's alone")
    alone.stop()
    node = shop.node("shared", config={"Mounts__FuseAllowOther": True, "Mounts__StoreMode": True})
    with mounted(shop, node) as (ipfs, _, mfs):
        (mfs / "f").write_text("x")
        (mfs / "d").mkdir()
        (mfs / "secret").write_text("secret")
        os.chmod(mfs / "secret", 0o600)
        (mfs / "closed").mkdir()
        (mfs / "closed" / "in").write_text("in")
        os.chmod(mfs / "closed", 0o700)
        check(as_nobody(lambda: check((mfs / "f").read_text() == "x" and os.listdir(mfs / "d") == [], "read")) is None, "others read")
        refused = {
            "write": lambda: (mfs / "f").write_text("y"),
            "append": lambda: open(mfs / "f", "a"),
            "cut": lambda: os.truncate(mfs / "f", 0),
            "make": lambda: (mfs / "d" / "new").write_text("y"),
            "mkdir": lambda: (mfs / "d" / "new").mkdir(),
            "symlink": lambda: (mfs / "d" / "new").symlink_to("f"),
            "unlink": lambda: (mfs / "f").unlink(),
            "rmdir": lambda: (mfs / "d").rmdir(),
            "rename": lambda: os.rename(mfs / "f", mfs / "g"),
            "read what is secret": lambda: (mfs / "secret").read_text(),
            "list what is closed": lambda: os.listdir(mfs / "closed"),
            "look into what is closed": lambda: (mfs / "closed" / "in").stat(),
        }
        for what, call in refused.items():
            got = as_nobody(call)
            check(got == errno.EACCES, f"{what}: {got}")
        for what, call in {"chmod": lambda: os.chmod(mfs / "f", 0o666), "utime": lambda: os.utime(mfs / "f", (1, 2)), "chown": lambda: os.chown(mfs / "f", NOBODY, NOBODY)}.items():
            got = as_nobody(call)
            check(got == errno.EPERM, f"{what}: {got}")
        check(sorted(os.listdir(mfs)) == ["closed", "d", "f", "secret"] and (mfs / "f").read_text() == "x" and not os.listdir(mfs / "d"), "nothing has changed")
        os.chmod(mfs / "d", 0o777)
        os.chmod(mfs / "f", 0o666)
        check(as_nobody(lambda: (mfs / "d" / "new").write_text("theirs")) is None and as_nobody(lambda: (mfs / "f").write_text("y")) is None, "who may, writes")
        check((mfs / "d" / "new").read_text() == "theirs" and (mfs / "f").read_text() == "y", "what they wrote")
        check((mfs / "d" / "new").stat().st_uid == os.getuid(), "the tree knows no owners: all is the node's")
        root = node.text("files", "stat", "--hash", "/")
        check(as_nobody(lambda: check((ipfs / root / "f").read_text() == "y", "read")) is None, "others read content")
        check(as_nobody(lambda: (ipfs / root / "secret").read_text()) == errno.EACCES, "modes of content hold")
        for call in (lambda: (ipfs / root / "f").write_text("z"), lambda: os.chmod(ipfs / root / "f", 0o777), lambda: (ipfs / root / "f").unlink(), lambda: (ipfs / "new").mkdir()):
            check(error_of(call) == errno.EROFS, "content is read-only for all")
    node.stop()


def published(node, path=""):
    return node.text("cat", f"/ipns/{node.peer_id}{path}")


def test_write_own_name(shop):
    """What is written below the node's own name in /ipns is what the name leads to."""
    need_fuse()
    node, other = shop.node("a"), shop.node("b")
    node.connect(other)
    with mounted(shop, node) as (ipfs, ipns, _):
        own = ipns / "local"
        check(sorted(os.listdir(ipns)) == sorted([node.peer_id, "self"]) and os.readlink(own) == os.readlink(ipns / "self") == node.peer_id, "links to a folder")
        check(not (ipns / node.peer_id).is_symlink() and os.listdir(own) == [], "empty")
        fails(node, "name", "resolve", "--offline", saying="could not resolve name")
        (own / "f").write_text("one")
        (own / "d").mkdir()
        os.rename(own / "f", own / "d" / "g")
        (own / "f").write_text("two")
        wait_until(lambda: node.run("name", "resolve", check_code=False).stdout.decode().strip() == "/ipfs/" + os.getxattr(ipns / node.peer_id, "ipfs.cid").decode(), 20, "published")
        check(published(node, "/f") == "two" and published(node, "/d/g") == "one", "what was written")
        check(other.text("cat", f"/ipns/{node.peer_id}/d/g") == "one", "for other nodes, too")
        node.run("repo", "gc")
        check((own / "f").read_text() == "two" and (own / "d" / "g").read_text() == "one", "kept by the collector")
        for call in (lambda: (ipns / "new").write_text("x"), lambda: (ipns / "new").mkdir(), lambda: (ipns / "local").unlink(), lambda: os.rename(own / "f", ipns / "f"), lambda: os.rename(own / "f", ipns / "self")):
            check(error_of(call) == errno.EPERM, f"names are not made so: {error_of(call)}")
        check(error_of(lambda: os.rmdir(ipns / node.peer_id)) is not None, "nor is the folder removed")
        fails(node, "name", "publish", "--allow-offline", node.text("add", "-Q", stdin=b"x"), saying="cannot manually publish while IPNS is mounted")
        (own / "last").write_text("last")
        node.stop()
    node.start()
    check(published(node, "/last") == "last", "published before the node's end")
    with mounted(shop, node) as (ipfs, ipns, _):
        check(sorted(os.listdir(ipns / "self")) == ["d", "f", "last"], "and there when it is mounted again")
        with open(ipns / "self" / "synced", "w") as f:
            f.write("synced")
            f.flush()
            os.fsync(f.fileno())
            node.kill()
            with contextlib.suppress(OSError):
                f.close()
    node.start()
    with mounted(shop, node) as (ipfs, ipns, _):
        check((ipns / "self" / "synced").read_text() == "synced", "what was synced before a kill")
        wait_until(lambda: "synced" in node.text("ls", f"/ipns/{node.peer_id}"), 20, "is published now")
        node.stop()
    node.start()
    folder = shop.path("folder")
    folder.mkdir()
    (folder / "by-hand").write_text("x")
    node.text("name", "publish", "--allow-offline", node.text("add", "-r", "-Q", folder))
    with mounted(shop, node) as (ipfs, ipns, _):
        check(os.listdir(ipns / "self") == ["by-hand"], "what was published otherwise")
        node.stop()
    node.start()
    file = node.text("add", "-Q", stdin=b"a file")
    node.text("name", "publish", "--allow-offline", file)
    with mounted(shop, node) as (ipfs, ipns, _):
        check(os.readlink(ipns / node.peer_id) == f"{ipfs}/{file}" and (ipns / "local").read_text() == "a file", "a file is a link")
        check(error_of(lambda: (ipns / "new").mkdir()) == errno.EROFS, "then nothing is written")
    node.stop()
