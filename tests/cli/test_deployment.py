"""What deployments are made of: Dockerfiles, the compose file, Kubernetes' manifests, systemd's units, Prometheus' rules."""
import pathlib
import re
import shutil
import subprocess
import urllib.request

from fileservice import FileService, debian_tool, python_with
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
    check(said.count(" passed ") == 13, said)
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
            assert x["read_only"] and x["cap_drop"] == ["ALL"], n
        for d in x.get("depends_on", {}):
            assert d in s, d
print("ok")
"""
    check(run(python, "-c", program, ROOT / "compose.yaml").strip() == "ok", "compose.yaml")
    asked = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))
    named = set(re.findall(r"^(\w+)=", (ROOT / "compose.env.example").read_text(), re.M))
    check(asked == named, (asked, named))


def test_deployment_images(shop):
    for path in (ROOT / "Dockerfile", ROOT / "metadata/Dockerfile"):
        text = path.read_text()
        stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", text, re.M)
        check(len(stages) == 2 and stages[0][1] == "build", f"{path}: {stages}")
        check(re.search(r"^USER 1000", text, re.M) and text.index("USER") < text.index("ENTRYPOINT"), f"{path}: not root")
        check("HEALTHCHECK" in text and "VOLUME /data" in text and "tini" in text, str(path))
        for stage in re.findall(r"COPY --from=(\w+)", text):
            check(stage == "build", stage)


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
        if base not in ("fs_security_refused_total", "fs_damaged_chunks_total"):  # counted from the first one on
            check(re.search(rf"^{base}(_bucket)?[ {{]", said, re.M), f"{name} is told by nobody")
    s.finish()
