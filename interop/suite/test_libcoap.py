"""libcoap's coap-client: raw registration and block-wise transfer."""

import re
import subprocess

LINKS = '</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</6/0>,</7/0>'


def coap(gateway, method, path, *options, payload=None):
    command = ["coap-client-notls", "-v", "6", "-B", "10", "-m", method, *options]
    if payload is not None:
        command += ["-t", "40", "-e", payload]
    got = subprocess.run(
        [*command, f"coap://127.0.0.1:{gateway.coap}{path}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return got.stdout + got.stderr


def location(output):
    found = re.search(r"Location-Path:rd, Location-Path:([A-Za-z0-9_-]{12})", output)
    assert found, output
    return found[1]


def test_register_update_deregister(gateway, application):
    got = coap(gateway, "post", "/rd?ep=raw&lt=60&lwm2m=1.0&b=U", payload=LINKS)
    register = application.event("raw", "register")
    assert register["data"]["lt"] == 60
    place = location(got)
    assert "2.04" in coap(gateway, "post", f"/rd/{place}?lt=120", payload=LINKS)
    assert application.event("raw", "update")["data"]["lt"] == 120
    assert "2.02" in coap(gateway, "delete", f"/rd/{place}")
    assert "4.04" in coap(gateway, "post", f"/rd/{place}")


def test_register_in_blocks_of_64_bytes(gateway, application):
    links = LINKS + "".join(f",</3303/{n}>" for n in range(60))
    got = coap(gateway, "post", "/rd?ep=blocks&lt=60&lwm2m=1.1", "-b", "64", payload=links)
    assert "Block1:0/M/64" in got, got
    register = application.event("blocks", "register")
    assert register["data"]["objectList"][-1] == "/3303/59"
    assert len(register["data"]["objectList"]) == 68
    location(got)


def test_what_the_specification_refuses(gateway):
    refused = {
        "/rd?ep=a%2Bb&lt=60&lwm2m=1.0": "4.00",
        "/rd?ep=a%23b&lt=60&lwm2m=1.0": "4.00",
        "/rd?lt=60&lwm2m=1.0": "4.00",
        "/rd?ep=x&lt=60&lwm2m=2.0": "4.12",
        "/rd?ep=x&lt=999999999&lwm2m=1.0": "4.00",
    }
    for path, code in refused.items():
        assert code in coap(gateway, "post", path, payload="</1/0>"), path
    assert "4.05" in coap(gateway, "put", "/rd", payload="x")
    assert "4.04" in coap(gateway, "get", "/nowhere")
