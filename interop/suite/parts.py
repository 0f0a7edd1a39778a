"""The parts that the tests are made of: the built gateway, brokers, MQTT clients, devices."""

import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "interop" / ".cache"


def binary(name):
    """A binary of this workspace, as `interop/run.sh` built it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / os.environ.get("INTEROP_PROFILE", "debug") / name


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, timeout=20):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {timeout} s")


class Process:
    """A child process whose output is read line by line."""

    def __init__(self, name, command, **options):
        self.name = name
        self.lines = []
        self.child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            **options,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_line(self, part, timeout=30):
        def find():
            if self.child.poll() is not None and not any(part in line for line in self.lines):
                raise AssertionError(f"{self.name} ended:\n" + "\n".join(self.lines[-40:]))
            return next((line for line in self.lines if part in line), None)

        return wait_until(find, f"{self.name}: a line with {part!r}", timeout)

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def stop(self, timeout=15):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)
            raise AssertionError(f"{self.name} did not stop:\n" + "\n".join(self.lines[-40:]))

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(5)


class Gateway(Process):
    """`lwm2m-gateway` on ports of its own."""

    def __init__(
        self, *arguments, profile="emqx4", shards=2, external=None, protocol="5", lwm2m=""
    ):
        self.directory = tempfile.mkdtemp(prefix="lwm2m-gateway-")
        self.coap = free_port(socket.SOCK_DGRAM)
        self.mqtt = external or free_port()
        self.http = free_port()
        mode = "external" if external else "embedded"
        config = Path(self.directory) / "gateway.toml"
        config.write_text(
            f"""
profile = "{profile}"
data_dir = "{self.directory}/data"
shards = {shards}
[lwm2m]
{lwm2m}
[listeners.default]
type = "udp"
bind = "127.0.0.1:{self.coap}"
[mqtt]
mode = "{mode}"
protocol = "{protocol}"
[mqtt.embedded]
bind = "127.0.0.1:{self.mqtt}"
[mqtt.external]
url = "mqtt://127.0.0.1:{self.mqtt}"
[http]
bind = "127.0.0.1:{self.http}"
"""
        )
        command = [binary("lwm2m-gateway"), "--config", config, *arguments]
        super().__init__("gateway", command)
        wait_until(lambda: self.healthy() or self.ended(), "gateway: health", 30)

    def ended(self):
        if self.child.poll() is not None:
            raise AssertionError("gateway ended:\n" + "\n".join(self.lines[-40:]))

    def get(self, path):
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def number(self, metric, label):
        """The sample of a metric whose labels hold this one."""
        page = self.get("/metrics")[1]
        line = next(
            line for line in page.splitlines() if line.startswith(metric) and label in line
        )
        return float(line.split()[-1])

    def healthy(self):
        return self.get("/health")[0] == 200

    def stop(self, timeout=15):
        try:
            return super().stop(timeout)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class Application:
    """An MQTT application of a platform: sends commands, collects what comes up."""

    def __init__(self, port, prefix="lwm2m", version=mqtt.MQTTv311):
        self.prefix = prefix
        self.seen = []
        self.queue = queue.Queue()
        self.request = 0
        self.ready = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(10), "no subscription within 10 s"

    def _connected(self, client, *_):
        client.subscribe(f"{self.prefix}/+/up/#", qos=1)

    def _message(self, _client, _data, message):
        self.queue.put((message.topic, json.loads(message.payload)))

    def wait(self, accept, what, timeout=20):
        """The first message, seen already or to come, that `accept(topic, body)` likes."""
        deadline = time.monotonic() + timeout
        place = 0
        while True:
            while place < len(self.seen):
                message = self.seen[place]
                if accept(*message):
                    del self.seen[place]
                    return message[1]
                place += 1
            left = deadline - time.monotonic()
            try:
                self.seen.append(self.queue.get(timeout=max(left, 0.001)))
            except queue.Empty:
                if left <= 0:
                    raise AssertionError(f"no {what}; last seen: {self.seen[-5:]}") from None

    def event(self, endpoint, kind, timeout=30):
        return self.wait(
            lambda topic, body: topic.split("/")[1] == endpoint and body.get("msgType") == kind,
            f"{kind} of {endpoint}",
            timeout,
        )

    def command(self, endpoint, kind, data, timeout=30, **members):
        """Sends a command and returns its final answer; an `ack` in between is passed over."""
        self.request += 1
        request = self.request
        body = {"reqID": request, "msgType": kind, "data": data, **members}
        self.client.publish(f"{self.prefix}/{endpoint}/dn/dm", json.dumps(body), qos=1)
        return self.wait(
            lambda _topic, answer: answer.get("reqID") == request
            and answer.get("msgType") in (kind, "coap_reset", "coap_timeout", "notify"),
            f"answer to {kind} {data}",
            timeout,
        )

    def tell(self, endpoint, request, kind, data):
        """Sends a command and waits for nothing."""
        body = {"reqID": request, "msgType": kind, "data": data}
        topic = f"{self.prefix}/{endpoint}/dn/dm"
        self.client.publish(topic, json.dumps(body), qos=1).wait_for_publish(10)

    def notification(self, endpoint, path, timeout=30):
        return self.wait(
            lambda topic, body: topic == f"{self.prefix}/{endpoint}/up/notify"
            and body["data"]["reqPath"] == path,
            f"notification of {endpoint} {path}",
            timeout,
        )

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


class Leshan(Process):
    """A device made of Eclipse Leshan's client library."""

    def __init__(self, endpoint, gateway, content="TLV", lifetime=300, *extra):
        jar = ROOT / "interop" / "leshan-client" / "target"
        classpath = f"{jar / 'leshan-client-1.jar'}:{jar / 'dependency'}/*"
        uri = f"coap://127.0.0.1:{gateway.coap}"
        command = ["java", "-cp", classpath, "interop.LeshanDevice", endpoint, uri, content]
        super().__init__("leshan", [*command, lifetime, *extra])

    def leave(self):
        self.tell("stop")
        self.wait_line("stopped", 30)
        self.child.wait(10)


class Mosquitto(Process):
    """A mosquitto broker with a configuration of its own."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.directory = tempfile.mkdtemp(prefix="mosquitto-")
        config = Path(self.directory) / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        )
        super().__init__("mosquitto", ["mosquitto", "-c", config])

        def up():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(up, "mosquitto: listening")

    def stop(self, timeout=15):
        try:
            return super().stop(timeout)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
