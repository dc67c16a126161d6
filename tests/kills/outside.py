"""``python -m tests.kills.outside PORT WEBHOOK_URL``: the outside world as a process of its own, which nobody kills.

It tries an event again sooner than the sandbox does by itself; everything else is as there, the rate limits too.
"""

import sys

import httpx
import uvicorn

from web.sandbox.app import create_sandbox
from web.sandbox.settings import SandboxSettings

RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0)


def main(port: int, webhook_url: str) -> None:
    """Serve it until it is ended."""
    settings = SandboxSettings(
        base_url=f"http://127.0.0.1:{port}",
        stripe_webhook_url=webhook_url,
        stripe_webhook_retries_s=RETRIES_S,
        stripe_webhook_timeout_s=20.0,
    )
    # A line for each delivery: those that wait for a process that is down must not keep the others from leaving.
    http = httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))
    uvicorn.run(create_sandbox(settings, http=http).app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
