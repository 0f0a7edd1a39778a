"""Fixtures, and the list of clients and versions that the log shall name."""

import json
import subprocess

import pytest
from parts import ROOT, Application, Gateway


def _first_line(*command):
    try:
        got = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return (got.stdout + got.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "missing"


def _debian(package):
    return _first_line("dpkg-query", "-W", "-f", "${Version}\n", package)


def pytest_report_header(config):
    pom = (ROOT / "interop" / "leshan-client" / "pom.xml").read_text()
    leshan = pom.split("<leshan.version>")[1].split("<")[0]
    node = ROOT / "interop" / ".cache" / "node" / "node_modules" / "lwm2m-node-lib" / "package.json"
    node_lib = json.loads(node.read_text())["version"] if node.exists() else "missing"
    emqx = ROOT / "interop" / ".cache" / "emqxlwm2m" / "bin" / "python"
    shown = _first_line(
        str(emqx), "-c", "import importlib.metadata as m; print(m.version('emqxlwm2m'))"
    )
    import paho.mqtt

    return [
        f"client: Eclipse Leshan {leshan} (LwM2M 1.1; TLV, SenML JSON, SenML CBOR)",
        f"client: libcoap coap-client {_debian('libcoap3-bin')}",
        f"client: lwm2m-node-lib {node_lib} (LwM2M 1.0)",
        f"client: emqxlwm2m {shown} (MQTT side)",
        f"client: paho-mqtt {paho.mqtt.__version__} (MQTT side)",
        f"broker: mosquitto {_debian('mosquitto')}, clients {_debian('mosquitto-clients')}",
        "replayed, not run: Wakaama, Anjay (in no registry)",
    ]


@pytest.fixture(params=["emqx4", "emqx5"])
def profile(request):
    return request.param


@pytest.fixture
def gateway():
    started = Gateway()
    yield started
    started.kill()


@pytest.fixture
def application(gateway):
    client = Application(gateway.mqtt)
    yield client
    client.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the processes of a failed test printed."""
    report = (yield).get_result()
    if report.failed:
        for name, part in getattr(item, "funcargs", {}).items():
            if hasattr(part, "lines"):
                report.sections.append((f"output of {name}", "\n".join(part.lines[-30:])))
