"""/routing/v1 between us and Kubo, each as the other's delegated router. Run by run.py."""
import nodes
from nodes import check, wait_until


def provided(giver, router, shop):
    giver.connect(router)
    cid = giver.text("add", "-Q", shop.file(f"of-{giver.name}", 100000))
    wait_until(lambda: giver.rpc_raw("routing/provide", [cid], timeout=60)[0].status == 200, 60, "provided", every=0.5)
    return cid


def found_through(client, giver, cid):
    def found():
        lines = client.rpc_lines("routing/findprovs", cid, timeout=60)
        return any(r["ID"] == giver.peer_id for line in lines for r in line.get("Responses") or [])
    wait_until(found, 60, f"{client.name} finds {giver.name} through its router", every=0.5)
    check(len(client.run("cat", cid).stdout) == 100000, "other bytes")


def test_kubo_asks_us(shop):
    giver, router = shop.node("giver"), shop.node("router")
    cid = provided(giver, router, shop)
    client = shop.kubo("client", {"Routing.Type": "delegated", "Provide.Enabled": False, "Routing.DelegatedRouters": [f"http://127.0.0.1:{router.gateway_port}"]})
    found_through(client, giver, cid)


def test_we_ask_kubo(shop):
    giver, router = shop.kubo("giver"), shop.kubo("router")
    cid = provided(giver, router, shop)
    client = shop.node("client", {"Routing__Type": "delegated", "Routing__DelegatedRouters": [f"http://127.0.0.1:{router.gateway_port}"]})
    found_through(client, giver, cid)
    name = client.text("key", "gen", "name")
    giver_name = giver.text("key", "gen", "name")
    giver.run("name", "publish", "--key=name", f"/ipfs/{cid}", timeout=120)
    wait_until(lambda: client.run("name", "resolve", giver_name, check_code=False).stdout.decode().strip() == f"/ipfs/{cid}", 60,
               "Kubo's name resolves through its router", every=0.5)
    check(name != giver_name, "two keys of one name")


def test_same_answers(shop):
    """The same questions to both: status, headers and the members of the answers."""
    ours, kubo = shop.node("ours"), shop.kubo("kubo")
    somebody = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
    nobody_has = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
    for path, headers, method in (
            (f"providers/{nobody_has}", {}, "GET"), (f"providers/{nobody_has}", {"Accept": "application/x-ndjson"}, "GET"),
            (f"peers/{somebody}", {}, "GET"), (f"peers/{somebody}", {"Accept": "application/x-ndjson"}, "GET"), ("providers/nonsense", {}, "GET"),
            ("peers/nonsense", {}, "GET"), ("ipns/nonsense", {}, "GET"), ("other", {}, "GET"), (f"providers/{nobody_has}", {"Accept": "text/html"}, "GET"),
            (f"ipns/{somebody}", {"Accept": "text/html"}, "GET"), (f"ipns/{nobody_has}", {}, "PUT"), (f"dht/closest/peers/x", {}, "GET")):
        answers = []
        for node in (ours, kubo):
            connection = nodes.http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
            connection.request(method, f"/routing/v1/{path}", headers=headers)
            response = connection.getresponse()
            body = response.read()
            connection.close()
            names = ("Cache-Control", "Vary") + (("Content-Type",) if response.status == 200 and body else ())
            answers.append((response.status, {n: response.getheader(n) for n in names}, body if response.status == 200 else b""))
        check(answers[0] == answers[1], f"{method} {path} {headers}:\n  ours {answers[0]}\n  Kubo {answers[1]}")
