"""The REST API against requests that its own document allows, and many that it does not."""

import subprocess

from parts import CACHE, Application, Gateway

# The runs are bounded by time, not by examples: a slow machine tries less.
SECONDS = 40
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance"


def test_schemathesis_finds_no_server_error():
    gateway = Gateway("--demo", "3")
    application = Application(gateway.mqtt)
    try:
        application.command("demo-1", "read", {"path": "/3/0/0"})
        ran = subprocess.run(
            [
                CACHE / "schemathesis" / "bin" / "schemathesis",
                "run",
                f"http://127.0.0.1:{gateway.http}/api/v5/openapi.json",
                "--checks", CHECKS,
                "--phases", "coverage,fuzzing",
                "--max-time", str(SECONDS),
                "--max-examples", "10",
                "--workers", "4",
                "--seed", "1",
                "--no-color",
            ],
            cwd=gateway.directory,
            capture_output=True,
            text=True,
            timeout=SECONDS * 4,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        # It is still there, and devices are served.
        assert gateway.healthy(), gateway.lines[-40:]
        assert not any("panicked" in line for line in gateway.lines)
    finally:
        application.close()
        gateway.kill()
