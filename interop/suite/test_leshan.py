"""Eclipse Leshan's client library as an LwM2M 1.1 device, once per preferred format."""

import base64
import time

import pytest
from parts import Application, Gateway, Leshan


@pytest.fixture(params=["TLV", "SENML_JSON", "SENML_CBOR"])
def content(request):
    return request.param


@pytest.fixture
def device(gateway, application, content):
    started = Leshan("leshan", gateway, content)
    register = application.event("leshan", "register", 60)
    assert register["data"]["lwm2m"] == "1.1"
    assert "/3/0" in register["data"]["objectList"]
    yield started
    started.kill()


def value(answer, path):
    assert answer["data"]["code"] == "2.05", answer
    return next(item["value"] for item in answer["data"]["content"] if item["path"] == path)


def test_every_command(device, application):
    ask = lambda kind, data, **more: application.command("leshan", kind, data, **more)

    assert value(ask("read", {"path": "/3/0/0"}), "/3/0/0") == "Leshan"
    whole = ask("read", {"path": "/3/0"})
    assert value(whole, "/3/0/1") == "interop"
    assert value(ask("read", {"path": "/3442/0/120"}), "/3442/0/120") == 1024
    assert ask("read", {"path": "/3/0/99"})["data"]["code"] == "4.04"
    assert ask("read", {"path": "/0"})["data"]["code"].startswith("4.")

    links = ask("discover", {"path": "/3/0"})
    assert links["data"]["code"] == "2.05"
    assert any(link.startswith("</3/0/14") for link in links["data"]["content"])

    zone = {"path": "/3/0/14", "type": "String", "value": "+02:00"}
    assert ask("write", zone)["data"]["code"] == "2.04"
    assert value(ask("read", {"path": "/3/0/14"}), "/3/0/14") == "+02:00"
    batch = {
        "basePath": "/3442/0/",
        "content": [
            {"path": "110", "type": "String", "value": "batch"},
            {"path": "120", "type": "Integer", "value": "255"},
            {"path": "130", "type": "Float", "value": "5"},
            {"path": "140", "type": "Boolean", "value": "false"},
            {"path": "150", "type": "Opaque", "value": base64.b64encode(b"\x00\xff").decode()},
            {"path": "160", "type": "Time", "value": "1700000000"},
            {"path": "170", "type": "Objlnk", "value": "3:0"},
        ],
    }
    assert ask("write", batch)["data"]["code"] == "2.04"
    whole = ask("read", {"path": "/3442/0"})
    assert value(whole, "/3442/0/110") == "batch"
    assert value(whole, "/3442/0/120") == 255
    assert value(whole, "/3442/0/130") == 5
    assert value(whole, "/3442/0/140") is False
    assert value(whole, "/3442/0/150") == "AP8="
    assert value(whole, "/3442/0/160") == 1700000000
    assert value(whole, "/3442/0/170") == "3:0"
    read_only = {"path": "/3/0/0", "type": "String", "value": "x"}
    assert ask("write", read_only)["data"]["code"] == "4.05"

    assert ask("execute", {"path": "/3/0/4"})["data"]["code"] == "2.04"
    device.wait_line("executed /3/0/4 1")
    assert ask("execute", {"path": "/3442/0/0", "args": "0='x',1"})["data"]["code"] == "2.04"

    attributes = {"path": "/3303/0/5700", "pmin": "1", "pmax": 5}
    assert ask("write-attr", attributes)["data"]["code"] == "2.04"
    links = ask("discover", {"path": "/3303/0/5700"})
    assert any("pmin=1" in link for link in links["data"]["content"]), links

    created = {
        "basePath": "/3442",
        "content": [{"path": "5/110", "type": "String", "value": "made"}],
    }
    assert ask("create", created)["data"]["code"] == "2.01"
    assert value(ask("read", {"path": "/3442/5/110"}), "/3442/5/110") == "made"
    assert ask("delete", {"path": "/3442/5"})["data"]["code"] == "2.02"
    assert ask("read", {"path": "/3442/5/110"})["data"]["code"] == "4.04"


def test_observe_notify_and_cancel(device, application):
    answer = application.command("leshan", "observe", {"path": "/3303/0/5700"})
    assert answer["data"]["code"] == "2.05", answer
    numbers = [application.notification("leshan", "/3303/0/5700")["seqNum"] for _ in range(3)]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 3
    answer = application.command("leshan", "cancel-observe", {"path": "/3303/0/5700"})
    assert answer["data"]["code"] == "2.05"


def test_send(device, application, gateway):
    device.tell("send")
    device.wait_line("sent")
    sent = application.wait(
        lambda topic, body: body.get("msgType") == "send", "the data that was sent"
    )
    assert sent["data"]["content"][0]["path"] == "/3303/0/5700"


def test_large_bodies(device, application):
    # 50 kB down in Block1, 8 kB up in Block2, a notification larger than a block.
    ask = lambda kind, data, **more: application.command("leshan", kind, data, timeout=60, **more)
    text = "".join(chr(ord("a") + n % 26) for n in range(50_000))
    down = {"path": "/3442/0/110", "type": "String", "value": text}
    assert ask("write", down)["data"]["code"] == "2.04"
    assert value(ask("read", {"path": "/3442/0/110"}), "/3442/0/110") == text
    down["value"] = text[:8_000]
    assert ask("write", down)["data"]["code"] == "2.04"
    assert value(ask("read", {"path": "/3442/0/110"}), "/3442/0/110") == text[:8_000]
    assert ask("observe", {"path": "/3442/0/110"})["data"]["code"] == "2.05"
    down["value"] = text[1_000:6_000]
    assert ask("write", down)["data"]["code"] == "2.04"
    notified = application.notification("leshan", "/3442/0/110")
    assert value(notified, "/3442/0/110") == text[1_000:6_000]


def test_deregistration_ends_it(device, application):
    device.leave()
    answer = application.command("leshan", "read", {"path": "/3/0/0"})
    assert answer["data"]["code"] == "4.04"
    assert answer["data"]["reason"] == "unknown_device"


def test_both_profiles(profile):
    gateway = Gateway(profile=profile)
    application = Application(gateway.mqtt)
    device = Leshan("leshan", gateway)
    try:
        application.event("leshan", "register", 60)
        answer = application.command("leshan", "read", {"path": "/3/0/0"})
        assert value(answer, "/3/0/0") == "Leshan"
        assert application.command("leshan", "execute", {"path": "/3/0/4"})["data"]["code"] == "2.04"
        device.tell("update")
        if profile == "emqx5":
            application.event("leshan", "update")
    finally:
        application.close()
        device.kill()
        gateway.kill()


def test_queue_mode(profile):
    """Three commands wait for the device to wake and are answered in order; a fourth expires."""
    gateway = Gateway(profile=profile, lwm2m='qmode_time_window = "3s"')
    application = Application(gateway.mqtt)
    device = Leshan("leshan", gateway, "TLV", 300, "queue")
    try:
        register = application.event("leshan", "register", 60)
        assert register["data"]["Q"] == ""
        time.sleep(4)
        sent = gateway.number("lwm2m_gateway_datagrams_total", 'direction="out"')
        paths = ["/3/0/0", "/3442/0/120", "/3/0/14"]
        for number, path in enumerate(paths):
            application.tell("leshan", 100 + number, "read", {"path": path})
        expired = application.command("leshan", "read", {"path": "/3/0/1", "ttl": 2})
        assert expired["data"]["code"] == "5.03", expired
        assert expired["data"]["reason"] == "expired"
        now = gateway.number("lwm2m_gateway_datagrams_total", 'direction="out"')
        assert now == sent, "nothing is sent to a sleeping device"
        device.tell("update")
        answers = [
            application.wait(lambda _, body: body.get("reqID", 0) >= 100, "answer", 30)
            for _ in paths
        ]
        assert [answer["reqID"] for answer in answers] == [100, 101, 102]
        assert [answer["data"]["reqPath"] for answer in answers] == paths
        assert all(answer["data"]["code"] == "2.05" for answer in answers), answers
    finally:
        application.close()
        device.kill()
        gateway.kill()
