"""The first command of the README, as a newcomer runs it (on ports of its own)."""

import signal

from parts import Application, Gateway


def test_demo_devices_do_what_the_readme_says():
    gateway = Gateway("--demo", "5")
    application = Application(gateway.mqtt)
    try:
        name = "demo-1"
        answer = application.command(name, "read", {"path": "/3/0"})
        assert answer["data"]["code"] == "2.05"
        zone = {"path": "/3/0/14", "type": "String", "value": "+02:00"}
        assert application.command(name, "write", zone)["data"]["code"] == "2.04"
        answer = application.command(name, "execute", {"path": "/3/0/4"})
        assert answer["data"]["code"] == "2.04"
        register = application.event(name, "register")
        assert "/3303/0" in register["data"]["objectList"]
        answer = application.command(name, "observe", {"path": "/3303/0/5700"})
        assert answer["data"]["code"] == "2.05"
        application.notification(name, "/3303/0/5700")
    finally:
        application.close()
        gateway.child.send_signal(signal.SIGTERM)
        assert gateway.stop() == 0


def test_a_second_instance_is_refused_by_the_port():
    first = Gateway()
    try:
        second = Gateway.__new__(Gateway)
        from parts import Process, binary

        Process.__init__(
            second,
            "second",
            [binary("lwm2m-gateway"), "--bind", f"127.0.0.1:{first.coap}",
             "--mqtt-bind", "127.0.0.1:0", "--http-bind", "127.0.0.1:0",
             "--data-dir", first.directory + "/other"],
        )
        assert second.child.wait(20) != 0
        assert any(str(first.coap) in line for line in second.lines), second.lines
    finally:
        first.kill()
