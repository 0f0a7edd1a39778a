"""Wakaama and Anjay, which no registry has: their datagrams replayed byte by byte."""

import json
import os
import socket

import pytest

ACK, CON = 2, 0


class Wire:
    """A raw CoAP peer."""

    def __init__(self, gateway):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.server = ("127.0.0.1", gateway.coap)
        self.id = int.from_bytes(os.urandom(2), "big")

    def send(self, kind, code, token, options, payload=b"", message_id=None):
        if message_id is None:
            self.id = (self.id + 1) & 0xFFFF
            message_id = self.id
        head = bytes([0x40 | kind << 4 | len(token), code]) + message_id.to_bytes(2, "big") + token
        body = b"\xff" + payload if payload else b""
        self.socket.sendto(head + encode(options) + body, self.server)

    def receive(self):
        data = self.socket.recv(2048)
        length = data[0] & 15
        options, payload = decode(data[4 + length :])
        return {
            "kind": data[0] >> 4 & 3,
            "code": data[1],
            "id": int.from_bytes(data[2:4], "big"),
            "token": data[4 : 4 + length],
            "options": options,
            "payload": payload,
        }

    def answer(self, request, code, options=(), payload=b""):
        self.send(ACK, code, request["token"], options, payload, request["id"])


def extended(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


def encode(options):
    out, last = b"", 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, delta_more = extended(number - last)
        length, length_more = extended(len(value))
        out += bytes([delta << 4 | length]) + delta_more + length_more + value
        last = number
    return out


def decode(data):
    options, number, place = [], 0, 0

    def more(nibble):
        nonlocal place
        if nibble == 13:
            place += 1
            return data[place - 1] + 13
        if nibble == 14:
            place += 2
            return int.from_bytes(data[place - 2 : place], "big") + 269
        return nibble

    while place < len(data) and data[place] != 0xFF:
        first = data[place]
        place += 1
        number += more(first >> 4)
        length = more(first & 15)
        options.append((number, data[place : place + length]))
        place += length
    return options, data[place + 1 :]


def option(message, number):
    return next((value for found, value in message["options"] if found == number), None)


PATH, FORMAT, QUERY, BLOCK1, OBSERVE = 11, 12, 15, 27, 6

WAKAAMA_LINKS = b'</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</5/0>,</31024>;ver=1.0,</31024/10>'


def register(wire, endpoint, links=WAKAAMA_LINKS, version=b"1.1", token=b"\x01\x02\x03\x04"):
    options = [(PATH, b"rd"), (QUERY, b"lwm2m=" + version), (QUERY, b"ep=" + endpoint),
               (QUERY, b"b=U"), (QUERY, b"lt=300"), (FORMAT, b"\x28")]
    wire.send(CON, 2, token, options, links)
    return wire.receive()


def test_wakaama_registers_in_three_blocks_of_64(gateway, application):
    wire = Wire(gateway)
    token = b"\x0a\x0b\x0c\x0d"
    for number in range(0, len(WAKAAMA_LINKS), 64):
        more = 8 if number + 64 < len(WAKAAMA_LINKS) else 0
        block = bytes([number // 64 << 4 | more | 2])
        options = [(PATH, b"rd"), (QUERY, b"lwm2m=1.1"), (QUERY, b"ep=wakaama"), (QUERY, b"b=U"),
                   (QUERY, b"lt=300"), (FORMAT, b"\x28"), (BLOCK1, block)]
        wire.send(CON, 2, token, options, WAKAAMA_LINKS[number : number + 64])
        got = wire.receive()
        assert got["code"] == (0x5F if more else 0x41), got
    assert "/31024/10" in application.event("wakaama", "register")["data"]["objectList"]


def test_wakaama_413_on_block_0_starts_again_with_its_size(gateway, application):
    wire = Wire(gateway)
    assert register(wire, b"wakaama")["code"] == 0x41
    application.event("wakaama", "register")
    data = "x" * 3000
    application.client.publish(
        "lwm2m/wakaama/dn/dm",
        '{"reqID":1,"msgType":"write","data":{"path":"/5/0/1","type":"String","value":"%s"}}' % data,
    )
    first = wire.receive()
    if option(first, BLOCK1) is None:
        # A new address first shows that it answers, before it is sent more than it sent itself.
        wire.answer(first, 0x45, [(FORMAT, b"")], b"300")
        first = wire.receive()
    assert option(first, BLOCK1)[-1] & 15 == 14, "block 0 of 1024 bytes, more to come"
    wire.answer(first, 0x8D, [(BLOCK1, b"\x02")])
    body, number = b"", 0
    while True:
        got = wire.receive()
        block = int.from_bytes(option(got, BLOCK1), "big")
        assert (block >> 4, block & 7) == (number, 2)
        body += got["payload"]
        last = not block & 8
        wire.answer(got, 0x44 if last else 0x5F, [(BLOCK1, option(got, BLOCK1))])
        if last:
            break
        number += 1
    # Its `ct` names SenML JSON and not TLV, so that is what it is written in.
    assert json.loads(body) == [{"bn": "/5/0/1", "vs": data}]
    answer = application.wait(lambda _t, b: b.get("reqID") == 1, "the write's answer")
    assert answer["data"]["code"] == "2.04"


def test_wakaama_sends_without_token(gateway, application):
    wire = Wire(gateway)
    register(wire, b"wakaama")
    application.event("wakaama", "register")
    wire.send(CON, 2, b"", [(PATH, b"dp"), (FORMAT, b"\x6e")],
              b'[{"bn":"/3/0/","n":"9","v":95}]')
    assert wire.receive()["code"] == 0x44
    sent = application.wait(lambda _t, b: b.get("msgType") == "send", "the data that was sent")
    assert sent["data"]["content"] == [{"path": "/3/0/9", "value": 95}]


def test_wakaama_notifies_non_with_counting_message_ids(gateway, application):
    wire = Wire(gateway)
    register(wire, b"wakaama")
    application.event("wakaama", "register")
    application.client.publish(
        "lwm2m/wakaama/dn/dm", '{"reqID":2,"msgType":"observe","data":{"path":"/3/0/9"}}'
    )
    got = wire.receive()
    assert option(got, OBSERVE) == b""
    wire.answer(got, 0x45, [(OBSERVE, b""), (FORMAT, b"")], b"90")
    application.wait(lambda _t, b: b.get("msgType") == "observe", "the observe's answer")
    for number in range(1, 4):
        wire.send(1, 0x45, got["token"], [(OBSERVE, bytes([number])), (FORMAT, b"")],
                  str(90 - number).encode())
        notified = application.notification("wakaama", "/3/0/9")
        assert notified["seqNum"] == number
        assert notified["data"]["content"] == [{"path": "/3/0/9", "value": 90 - number}]


def test_anjay_falls_back_from_1_2_on_412_only(gateway, application):
    wire = Wire(gateway)
    links = b"</1/1>,</2>,</3/0>,</10>;ver=1.1,</10/0>,</11>"
    assert register(wire, b"anjay", links, b"1.2", b"\x08" * 8)["code"] == 0x41
    data = application.event("anjay", "register")["data"]
    assert data["objectList"] == ["/1/1", "/2", "/3/0", "/10", "/10/0", "/11"]
    assert register(wire, b"anjay", links, b"2.0", b"\x09" * 8)["code"] == 0x8C


def test_wakaama_ignores_fetch_in_silence_and_lives_on(gateway, application):
    # A request that meets silence is repeated and then ends; the device stays registered.
    wire = Wire(gateway)
    register(wire, b"wakaama")
    application.event("wakaama", "register")
    answer_to = '{"reqID":3,"msgType":"read","data":{"path":"/3/0/0","timeout":3}}'
    application.client.publish("lwm2m/wakaama/dn/dm", answer_to)
    first = wire.receive()
    again = wire.receive()
    assert (first["id"], first["token"]) == (again["id"], again["token"])
    application.wait(lambda _t, b: b.get("msgType") == "coap_timeout", "the time-out")


@pytest.mark.parametrize("junk", [b"", b"\x40", b"\x4f\x01\x00\x01", b"\xff" * 1400, b"\x00" * 9])
def test_junk_is_met_with_silence_or_reset(gateway, application, junk):
    wire = Wire(gateway)
    register(wire, b"wakaama")
    application.event("wakaama", "register")
    wire.socket.sendto(junk, wire.server)
    assert register(wire, b"wakaama")["code"] in (0x41, 0x00)
