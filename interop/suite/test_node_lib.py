"""lwm2m-node-lib: an old LwM2M 1.0 device that sends no Content-Format."""

import os

import pytest
from parts import CACHE, ROOT, Process


@pytest.fixture
def device(gateway, application):
    environment = {**os.environ, "NODE_PATH": str(CACHE / "node" / "node_modules")}
    client = ROOT / "interop" / "node-client" / "client.js"
    started = Process("node-lib", ["node", client, "old", gateway.coap], env=environment)
    started.wait_line("registered")
    register = application.event("old", "register")
    assert register["data"]["objectList"] == ["/3/0"]
    assert register["data"]["lwm2m"] == "1.0"
    yield started
    started.kill()


def test_commands_of_an_old_device(device, application):
    answer = application.command("old", "read", {"path": "/3/0/14"})
    assert answer["data"]["content"] == [{"path": "/3/0/14", "value": "+00:00"}]
    assert application.command("old", "execute", {"path": "/3/0/4"})["data"]["code"] == "2.04"
    device.wait_line("executed /3/0/4")
    # It takes text only, and is silent about everything else.
    zone = {"path": "/3/0/14", "type": "String", "value": "+02:00", "format": "text"}
    written = application.command("old", "write", zone)
    assert written["data"]["code"] == "2.04"
    device.wait_line("written /3/0/14")


def test_notifications_without_content_format(device, application):
    answer = application.command("old", "observe", {"path": "/3/0/0"})
    assert answer["data"]["code"] == "2.05", answer
    notified = application.notification("old", "/3/0/0")
    assert notified["data"]["content"][0]["value"].startswith("node-lib")


def test_it_leaves(device, application):
    device.tell("stop")
    device.wait_line("unregistered")
    answer = application.command("old", "read", {"path": "/3/0/14"})
    assert answer["data"]["code"] == "4.04"
