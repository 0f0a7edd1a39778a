"""Observations over a re-registration: every notification arrives, from whatever kind of device."""

import pytest
from parts import Application, Gateway, Leshan
from test_replays import ACK, CON, FORMAT, OBSERVE, PATH, Wire, option, register

NON = 1
CONTENT = 0x45
LINKS = b"</3/0>,</3303/0>"


class Place:
    """A gateway that observes /3303/0 by itself, and an application."""

    def __init__(self, profile):
        self.profile = profile
        self.gateway = Gateway(profile=profile, lwm2m='auto_observe = "/3303/0"')
        self.application = Application(self.gateway.mqtt)
        self.lines = self.gateway.lines

    def automatic(self, body):
        """Whether a message is about the automatic observation."""
        marked = body.get("is_auto_observe") is True
        return "reqID" not in body and marked == (self.profile == "emqx5")

    def first(self, endpoint):
        """The first answer of the automatic observation."""
        return self.application.wait(
            lambda topic, body: topic.split("/")[1] == endpoint
            and body.get("data", {}).get("reqPath") == "/3303/0"
            and body["msgType"] in ("observe", "notify")
            and self.automatic(body),
            "the first answer of the automatic observation",
        )

    def close(self):
        self.application.close()
        self.gateway.kill()


@pytest.fixture
def place(profile):
    made = Place(profile)
    yield made
    made.close()


class Observed:
    """A device that is observed at /3303/0 by itself and at /3303/0/5700 by a command."""

    def __init__(self, place, name, kind):
        self.place, self.name, self.kind = place, name, kind
        self.number = 0
        self.register()
        tell = '{"reqID":307,"msgType":"observe","data":{"path":"/3303/0/5700"}}'
        self.automatic = self.take("/3303/0")
        place.first(name)
        place.application.client.publish(f"lwm2m/{name}/dn/dm", tell)
        self.asked = self.take("/3303/0/5700")
        place.application.wait(
            lambda _, body: body.get("reqID") == 307 and body["msgType"] == "observe",
            "the answer to the observe",
        )

    def register(self):
        """From a port that no message came from before."""
        self.wire = Wire(self.place.gateway)
        assert register(self.wire, self.name.encode(), LINKS)["code"] == 0x41
        self.place.application.event(self.name, "register")

    def take(self, path):
        """The next observe, which is answered with a value."""
        while True:
            got = self.wire.receive()
            segments = [value.decode() for number, value in got["options"] if number == PATH]
            if got["code"] == 1 and "/" + "/".join(segments) == path:
                break
        assert option(got, OBSERVE) == b""
        self.wire.answer(got, CONTENT, [(OBSERVE, b""), (FORMAT, b"\x2d\x16")], self.value(0))
        return got

    @staticmethod
    def value(number):
        """Resource 5700 as a TLV of four bytes."""
        import struct

        return b"\xe4\x16\x44" + struct.pack(">f", number)

    def register_again(self):
        former = {self.automatic["token"], self.asked["token"]}
        self.register()
        # What a command had asked for comes first.
        self.asked = self.take("/3303/0/5700")
        value = self.place.application.notification(self.name, "/3303/0/5700")
        assert (value["reqID"], value["seqNum"]) == (307, 0)
        self.automatic = self.take("/3303/0")
        self.place.first(self.name)
        assert not former & {self.automatic["token"], self.asked["token"]}

    def notify(self, request, path):
        self.number += 1
        number = bytes([self.number])
        options = [(OBSERVE, number), (FORMAT, b"\x2d\x16")]
        self.wire.send(self.kind, CONTENT, request["token"], options, self.value(self.number))
        if self.kind == CON:
            acknowledgement = self.wire.receive()
            assert (acknowledgement["kind"], acknowledgement["code"]) == (ACK, 0)
            assert acknowledgement["id"] == self.wire.id
        notified = self.place.application.notification(self.name, path)
        assert notified["seqNum"] == self.number
        item = {"path": "/3303/0/5700", "value": float(self.number)}
        assert notified["data"]["content"] == [item]
        return notified

    def notify_all(self):
        for _ in range(20):
            assert self.notify(self.asked, "/3303/0/5700")["reqID"] == 307
            assert self.place.automatic(self.notify(self.automatic, "/3303/0"))


@pytest.mark.parametrize("kind", [NON, CON], ids=["non", "con"])
def test_every_notification_arrives_across_registrations(place, kind):
    device = Observed(place, "wakaama", kind)
    device.notify_all()
    for _ in range(3):
        device.register_again()
        device.number = 0
        device.notify_all()


def test_leshan_is_observed_across_a_restart_of_the_device(place):
    application = place.application
    asked = lambda body: body.get("reqID") == 1

    def follow():
        """Ten notifications of each observation, none left out."""
        for path, is_it in (("/3303/0/5700", asked), ("/3303/0", place.automatic)):
            numbers = []
            for _ in range(10):
                notified = application.notification("leshan", path)
                assert is_it(notified), notified
                assert notified["data"]["code"] == "2.05", notified
                numbers.append(notified["seqNum"])
            assert numbers == list(range(numbers[0], numbers[0] + 10)), path

    device = Leshan("leshan", place.gateway, "SENML_CBOR")
    try:
        application.event("leshan", "register", 60)
        place.first("leshan")
        answer = application.command("leshan", "observe", {"path": "/3303/0/5700"})
        assert answer["data"]["code"] == "2.05", answer
        follow()
        # As after a loss of power: nothing is said, and the port is another one.
        device.kill()
        device = Leshan("leshan", place.gateway, "SENML_CBOR")
        application.event("leshan", "register", 60)
        application.seen.clear()
        follow()
    finally:
        device.kill()
