"""What deployments are made of: Dockerfiles, the compose file, Kubernetes' manifests, systemd's units, Prometheus' rules."""
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import urllib.request

from fileservice import FileService, StorageNode, debian_tool, python_with
from metadata import Service
from nodes import Skip, check

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*words, cwd=ROOT):
    done = subprocess.run([*map(str, words)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    check(done.returncode == 0, f"{words}: exit {done.returncode}: {done.stdout.decode()[-800:]}")
    return done.stdout.decode()


def test_deployment_kubernetes(shop):
    python = python_with("kubernetes-validate")
    manifests = sorted((ROOT / "k8s").glob("*.yaml"))
    said = run(python, "-m", "kubernetes_validate", "--strict", *manifests)
    check(said.count(" passed ") == 15, said)
    kinds = set(re.findall(r"^kind: (\w+)", "".join(p.read_text() for p in manifests), re.M))
    check(kinds >= {"StatefulSet", "Deployment", "Service", "ConfigMap", "Secret", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}, kinds)
    bad = shop.path("bad.yaml")  # the check can fail
    bad.write_text((ROOT / "k8s/metadata.yaml").read_text().replace("replicas: 2", "replicas: two"))
    check(subprocess.run([python, "-m", "kubernetes_validate", "--strict", str(bad)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode,
          "a manifest that does not fit its schema is noticed")
    # each option that a manifest or the compose file gives is one that the program has
    helps = {c: run(shop.program, c, "--help") for c in ("metadata", "fileserver")}
    for path in [*manifests, ROOT / "compose.yaml", *(ROOT / "systemd").glob("*.service")]:
        for option in re.findall(r"(?<=[\s\"\[=-])-{1,2}([a-z]+(?:-[a-z]+)+)=", path.read_text()):
            check(any(f"--{option}" in h for h in helps.values()) or option in ("data-dir",), f"{path.name}: --{option}")
        check("--database=" not in path.read_text(), f"{path.name}: a database's password is nothing for an argument list")


def test_deployment_compose(shop):
    python = python_with("kubernetes-validate")  # brings PyYAML
    program = """
import sys, yaml
for name in sys.argv[1:]:
    c = yaml.safe_load(open(name))
    s = c["services"]
    assert {"postgres", "metadata-a", "metadata-b", "fileserver-1", "fileserver-2", "fileserver-3"} <= set(s), list(s)
    for n, x in s.items():
        for v in x.get("volumes", []):
            source = v.split(":")[0]
            assert source.startswith("./") or source in c["volumes"], v
        if n.startswith(("metadata", "fileserver")):
            assert "tls:/tls:ro" in x["volumes"], n
            assert x["read_only"] and x["cap_drop"] == ["ALL"], n
        for d in x.get("depends_on", {}):
            assert d in s, d
print("ok")
"""
    check(run(python, "-c", program, ROOT / "compose.yaml").strip() == "ok", "compose.yaml")
    asked = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))
    named = set(re.findall(r"^(\w+)=", (ROOT / "compose.env.example").read_text(), re.M))
    check(asked == named, (asked, named))


def test_deployment_tls(shop):
    """What the compose file and the manifests do: certificates by the script, HTTPS for all, storage nodes with an authority besides."""
    script, tls = ROOT / "tools/make_certificates.sh", shop.path("tls")
    run(script, tls, "metadata", "localhost", "127.0.0.1")
    run(script, tls, "node", "localhost", "127.0.0.1")
    run(script, shop.path("other"), "metadata", "localhost", "127.0.0.1")
    check((tls / "metadata.key").stat().st_mode & 0o77 == 0, "keys are private")
    service = Service(shop.program, shop.folder, "metadata", f"--tls-cert={tls}/metadata.crt", f"--tls-key={tls}/metadata.key",
                      "--heartbeat-ms=200", tls=ssl.create_default_context(cafile=str(tls / "ca.crt")))
    shop.daemons.append(service)
    service.start()
    words = [f"--metadata-ca={tls}/ca.crt", f"--tls-ca={tls}/ca.crt", f"--tls-cert={tls}/node.crt", f"--tls-key={tls}/node.key"]
    nodes = [StorageNode(service, shop.folder, f"n{i}", *words) for i in range(2)]
    for node in nodes:
        shop.daemons.append(node)
        node.start()
    home = shop.path("home")
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "METADATA_ADDR": f"https://localhost:{service.port}"}

    def fs(*words, given=None, code=0, **more):
        done = subprocess.run([shop.program, "fs", *map(str, words)], env={**environment, **more}, cwd=home, input=given, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120)
        check(done.returncode == code, f"fs {words}: exit {done.returncode}: {done.stderr.decode()[-600:]}")
        return done.stdout + done.stderr
    password = service.secret("admin-password").encode() + b"\n"
    login = ["login", "--username=admin", "--password-file=-"]
    check(b"certificate" in fs(*login, given=password, code=1), "the system's authorities know nothing of it")
    check(b"certificate" in fs(*login, f"--metadata-ca={shop.path('other')}/ca.crt", given=password, code=1), "nor does another one")
    check(b"logged in as admin" in fs(*login, f"--metadata-ca={tls}/ca.crt", given=password), "the password comes through a pipe")
    file = shop.file("file", 5_000_000)
    fs("put", file, "file", "--replication=2", code=1)  # the nodes ask for a certificate
    fs(*login, f"--metadata-ca={tls}/ca.crt", f"--tls-cert={tls}/node.crt", f"--tls-key={tls}/node.key", given=password)
    fs("put", file, "file", "--replication=2", "--quorum=2")  # the session remembers
    fs("get", "file", "back")
    check((home / "back").read_bytes() == file.read_bytes(), "there and back, TLS all the way")
    token = json.loads((home / ".config/distribute/fs.json").read_text())["token"].encode()
    check(b"holds nothing" in fs("login", "--token-file=-", given=b"", code=2), "an empty pipe")
    fs("login", "--token-file=-", given=token)
    check(b"file" in fs("ls"), "a token through a pipe")
    for node in nodes:
        node.stop()
    check(service.stop() == 0, "the service ends")


def test_deployment_images(shop):
    for path in (ROOT / "Dockerfile", ROOT / "metadata/Dockerfile"):
        text = path.read_text()
        stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", text, re.M)
        check(len(stages) == 2 and stages[0][1] == "build", f"{path}: {stages}")
        check(re.search(r"^USER 1000", text, re.M) and text.index("USER") < text.index("ENTRYPOINT"), f"{path}: not root")
        check("HEALTHCHECK" in text and "VOLUME /data" in text and "tini" in text, str(path))
        for stage in re.findall(r"COPY --from=(\w+)", text):
            check(stage == "build", stage)
        for script in re.findall(r"(?<=&& )tools/\S+", text):
            check(os.access(ROOT / script, os.X_OK), f"{path}: {script}")
        for target in re.findall(r"&& make (\S+)", text):
            run("make", "-n", target, "RELEASE=/nowhere")
    # what the images are made of: every library that the program is linked to, and those that it loads when first used
    packages = run(ROOT / "tools/runtime_packages.sh", shop.program).split()
    check({"libc6", "libsqlite3-0"} <= set(packages), packages)
    check(all(" " not in p and "/" not in p for p in packages), packages)
    node_image, metadata_image = ((ROOT / p).read_text() for p in ("Dockerfile", "metadata/Dockerfile"))
    loaded = set()
    for path in (ROOT / "src").rglob("*.c"):
        text = path.read_text()
        if "dlopen(" in text:
            loaded.add(re.search(r'"(lib\w+)\.so', text).group(1))
    check(loaded >= {"libpq", "libedit"}, loaded)
    for library in loaded:
        check(re.search(rf"\b{library}-?\d", node_image), f"Dockerfile: {library} is loaded when first used")
    check("libpq5" in metadata_image, "metadata/Dockerfile: libpq")


def test_deployment_systemd(shop):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze")
    for unit in sorted((ROOT / "systemd").glob("*.service")):
        copy = shop.path(unit.name)
        copy.write_text(unit.read_text().replace("/usr/local/bin/distribute", shop.program))
        said = run("systemd-analyze", "verify", "--man=no", copy)
        check(unit.name not in said, said)
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", run("systemd-analyze", "security", "--offline=true", copy))
        check(exposure and float(exposure.group(1)) < 2.5, exposure and exposure.group(0))


def test_deployment_prometheus(shop):
    promtool = debian_tool("prometheus", "usr/bin/promtool")
    folder = ROOT / "prometheus"
    check("SUCCESS" in run(promtool, "check", "rules", folder / "rules.yml"), "rules")
    check("SUCCESS" in run(promtool, "check", "config", folder / "prometheus.yml"), "config")
    check("SUCCESS" in run(promtool, "test", "rules", folder / "rules_test.yml"), "tests of rules")
    # what the rules look at is there, in what real services say; and that is well made
    s = FileService(shop, 1)
    file = shop.file("file", 10000)
    s.admin.run("put", file, "file", "--replication=1", "--quorum=1")
    s.admin.run("get", "file", "-")
    port = s.nodes[0].metrics_port
    texts = [urllib.request.urlopen(f"http://127.0.0.1:{p}/metrics", timeout=30).read() for p in (port, s.metadata.port)]
    for text in texts:
        done = subprocess.run([promtool, "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        errors = [line for line in done.stdout.decode().splitlines() if "fs_" in line]
        check(not errors, "\n".join(errors))
    said = b"".join(texts).decode()
    for name in set(re.findall(r"(?<![:\w])fs_\w+(?![:\w])", (folder / "rules.yml").read_text())):
        base = re.sub(r"_bucket$", "", name)
        check(re.search(rf"^{base}(_bucket)?[ {{]", said, re.M), f"{name} is told by nobody")
    s.finish()
