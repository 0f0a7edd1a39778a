"""The REST API against requests that its own document allows, and many that it does not."""

import subprocess
from pathlib import Path

import pytest
from parts import CACHE, Application, Gateway

# A run is bounded by time, not by examples: a slow machine tries less.
SECONDS = 25
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance"

# Once with names of devices that nobody has, once with one that answers. That one must not be
# kicked, nor its listener be closed, or there would be nothing to try.
RUNS = {
    "strangers": [],
    "a-device": ["--exclude-operation-id", "kick_client", "--exclude-operation-id", "enable_gateway"],
}


@pytest.mark.parametrize("run", RUNS)
def test_schemathesis_finds_no_server_error(run):
    gateway = Gateway("--demo", "3")
    application = Application(gateway.mqtt)
    try:
        answer = application.command("demo-1", "read", {"path": "/3/0/0"})
        assert answer["data"]["code"] == "2.05"
        if run == "a-device":
            config = Path(gateway.directory) / "schemathesis.toml"
            config.write_text('[parameters]\n"path.clientid" = "demo-1"\n')
        ran = subprocess.run(
            [
                CACHE / "schemathesis" / "bin" / "schemathesis",
                "run",
                f"http://127.0.0.1:{gateway.http}/api/v5/openapi.json",
                *RUNS[run],
                "--checks", CHECKS,
                "--phases", "coverage,fuzzing",
                "--max-time", str(SECONDS),
                "--max-examples", "10",
                "--workers", "1",
                # Longer than `wait` may take: nine tenths of http.timeout.
                "--request-timeout", "40",
                "--seed", "1",
                # Texts that no path can hold are thrown away by the dozen: a matter of the
                # generator, not of the gateway.
                "--suppress-health-check", "filter_too_much",
                "--no-color",
            ],
            cwd=gateway.directory,
            capture_output=True,
            text=True,
            timeout=SECONDS * 6,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        assert gateway.healthy(), gateway.lines[-40:]
        assert not any("panicked" in line for line in gateway.lines)
    finally:
        application.close()
        gateway.kill()
