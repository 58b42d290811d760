"""Services over streams, between Kubo and us, and the answers of both. Run by run.py."""
import json
import re

from nodes import check
from services import KUBO_STREAMS, STREAMS, Echo, converse, entry_of


def test_streams_between_kubo_and_us(shop):
    ours, kubo, echo = shop.node("p2p-ours", STREAMS), shop.kubo("p2p-kubo", KUBO_STREAMS), Echo()
    for service, user, name in ((ours, kubo, "/x/ours"), (kubo, ours, "/x/kubo")):
        service.text("p2p", "listen", name, echo.address)
        user.text("p2p", "forward", name, "/ip4/127.0.0.1/tcp/0", service.addresses[0])
        for size in (1, 3000000):
            converse(entry_of(user, name), size)
    echo.close()


def test_peer_id_as_kubo(shop):
    ours, kubo, echo = shop.node("who-ours", STREAMS), shop.kubo("who-kubo", KUBO_STREAMS), Echo(reads_line=True)
    for service, user in ((ours, kubo), (kubo, ours)):
        service.text("p2p", "listen", "-r", "/x/who", echo.address)
        user.text("p2p", "forward", "/x/who", "/ip4/127.0.0.1/tcp/0", service.addresses[0])
        converse(entry_of(user, "/x/who"), 10)
        user.text("p2p", "close", "--all")
    check(echo.lines == [kubo.peer_id, ours.peer_id], f"{echo.lines}")
    echo.close()


def test_p2p_answers_as_kubo(shop):
    here, peer = "/ip4/127.0.0.1/tcp/1234", "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"
    said = []
    for node in (shop.node("p2p-ours", STREAMS), shop.kubo("p2p-kubo", KUBO_STREAMS)):
        lines = []
        for words in (("ls",), ("listen", "/x/a", here), ("listen", "/x/a", here), ("listen", "a", here), ("listen", "/x/b", "/ip4/127.0.0.1/tcp/0"),
                      ("listen", "/x/b", "/ip4/127.0.0.1"), ("forward", "/x/long-name", "/ip4/127.0.0.1/tcp/0", f"/p2p/{peer}"), ("ls", "-v"),
                      ("stream", "ls"), ("stream", "close"), ("stream", "close", "7"), ("stream", "close", "a"), ("stream", "close", "-a"),
                      ("close",), ("close", "-a", "-p", "x"), ("close", "-p", "/x/a"), ("close", "-l", f"/p2p/{peer}"), ("close", "-t", f"/p2p/{peer}"), ("close", "-a")):
            lines.append((words, *answer(node, words)))
        lines += [json.dumps(node.rpc(command)) for command in ("p2p/ls", "p2p/stream/ls")]
        said.append(lines)
    for ours, kubo in zip(*said):
        check(ours == kubo, f"{ours}, Kubo: {kubo}")


def answer(node, words):
    done = node.run("p2p", *words, check_code=False)
    hide = lambda text: re.sub(rf"/tcp/(?!1234)\d+ ", "/tcp/PORT ", text.replace(node.peer_id, "ID"))
    return done.returncode, hide(done.stdout.decode()), done.stderr.decode().split("\n")[0].lower()
