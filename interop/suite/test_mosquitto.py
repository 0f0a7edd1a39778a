"""mosquitto as external broker, and its command line clients as the platform."""

import json
import subprocess
import time

import pytest
from parts import Application, Gateway, Leshan, Mosquitto, Process, binary, wait_until


def simulator(gateway, count, *options):
    command = [binary("lwm2m-sim"), "--count", count, "--server", f"127.0.0.1:{gateway.coap}"]
    return Process("lwm2m-sim", [*command, *options])


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request):
    return request.param


def test_a_device_over_an_external_broker(protocol):
    broker = Mosquitto()
    gateway = Gateway(external=broker.port, protocol=protocol)
    application = Application(broker.port)
    device = Leshan("leshan", gateway)
    try:
        application.event("leshan", "register", 60)
        answer = application.command("leshan", "read", {"path": "/3/0/0"})
        assert answer["data"]["content"][0]["value"] == "Leshan"
        assert application.command("leshan", "observe", {"path": "/3303/0/5700"})["data"]["code"] == "2.05"
        application.notification("leshan", "/3303/0/5700")
    finally:
        application.close()
        device.kill()
        gateway.kill()
        broker.kill()


def test_the_broker_comes_back(protocol):
    broker = Mosquitto()
    gateway = Gateway(external=broker.port, protocol=protocol)
    application = Application(broker.port)
    fleet = None
    try:
        fleet = simulator(gateway, 3, "--prefix", "sim-")
        register = application.event("sim-1", "register")
        assert register["data"]["ep"] == "sim-1"
        broker.kill()
        time.sleep(2)
        broker = Mosquitto(broker.port)
        wait_until(gateway.healthy, "connection to the new broker", 60)
        answer = application.command("sim-1", "read", {"path": "/3/0/0"}, timeout=60)
        assert answer["data"]["code"] == "2.05"
    finally:
        application.close()
        if fleet:
            fleet.kill()
        gateway.kill()
        broker.kill()


def test_the_command_line_clients_against_the_embedded_broker(gateway):
    listen = ["mosquitto_sub", "-p", gateway.mqtt, "-V", "mqttv5", "-t", "lwm2m/+/up/#"]
    subscriber = Process("mosquitto_sub", [*listen, "-F", "%t %D %p"])
    time.sleep(1)
    fleet = simulator(gateway, 1, "--prefix", "sim-")
    try:
        subscriber.wait_line('"msgType":"register"')
        ask = {"reqID": 7, "msgType": "read", "data": {"path": "/3/0/0"}}
        got = subprocess.run(
            ["mosquitto_rr", "-p", str(gateway.mqtt), "-V", "mqttv5", "-W", "20",
             "-t", "lwm2m/sim-1/dn/dm", "-e", "answers/1", "-m", json.dumps(ask)],
            capture_output=True, text=True, timeout=30, check=False,
        )
        assert json.loads(got.stdout)["data"]["code"] == "2.05", got
        publish = ["mosquitto_pub", "-p", str(gateway.mqtt), "-V", "mqttv5", "-q", "1"]
        ask["reqID"] = 8
        subprocess.run([*publish, "-t", "lwm2m/sim-1/dn/dm", "-m", json.dumps(ask)], check=True)
        subscriber.wait_line('"reqID":8')
    finally:
        fleet.kill()
        subscriber.kill()
