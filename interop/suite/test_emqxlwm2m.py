"""emqxlwm2m, a published MQTT-side application for EMQX's gateway, unchanged."""

import subprocess

import pytest
from parts import CACHE, Process, binary

PYTHON = CACHE / "emqxlwm2m" / "bin" / "python"


@pytest.fixture
def device(gateway, application):
    command = [binary("lwm2m-sim"), "--count", 1, "--server", f"127.0.0.1:{gateway.coap}"]
    started = Process("lwm2m-sim", [*command, "--prefix", "dev-"])
    application.event("dev-1", "register")
    yield "dev-1"
    started.kill()


def tool(gateway, *arguments):
    command = [PYTHON, "-m", "emqxlwm2m", "--host", "127.0.0.1", "--port", gateway.mqtt]
    return [str(part) for part in [*command, "--timeout", "15", *arguments]]


def run(gateway, *arguments):
    got = subprocess.run(
        tool(gateway, *arguments), capture_output=True, text=True, timeout=60, check=False
    )
    output = got.stdout + got.stderr
    assert got.returncode == 0 and "Traceback" not in output, output
    return output


def test_commands(gateway, device):
    assert "2.05" in run(gateway, "read", device, "/3/0/0")
    assert "2.04" in run(gateway, "write", device, "/3/0/14=+02:00")
    assert "+02:00" in run(gateway, "read", device, "/3/0/14")
    assert "2.04" in run(gateway, "write_attr", device, "/3303/0/5700=[1,120]5:10:95")
    assert "3/0" in run(gateway, "discover", device, "/3/0")
    assert "2.01" in run(gateway, "create", device, "/3303/5/5700=3.5")
    assert "2.02" in run(gateway, "delete", device, "/3303/5")
    assert "2.05" in run(gateway, "observe", device, "/3303/0/5700")
    assert "2.05" in run(gateway, "cancel_observe", device, "/3303/0/5700")
    assert "2.04" in run(gateway, "execute", device, "/3/0/4")


def test_streams(gateway, application, device):
    registrations = Process("registrations", tool(gateway, "registrations", "late-1"))
    notifications = Process("notifications", tool(gateway, "notifications", device))
    command = [binary("lwm2m-sim"), "--count", 1, "--server", f"127.0.0.1:{gateway.coap}"]
    second = None
    try:
        for _ in range(5):
            if second:
                second.kill()
            second = Process("lwm2m-sim", [*command, "--prefix", "late-"])
            try:
                registrations.wait_line("late-1", 6)
                break
            except AssertionError:
                continue
        registrations.wait_line("late-1", 1)
        answer = application.command(device, "observe", {"path": "/3303/0/5700"})
        assert answer["data"]["code"] == "2.05"
        notifications.wait_line("/3303/0/5700", 40)
    finally:
        for process in (registrations, notifications, second):
            process.kill()
