"""``python -m web.sandbox --port 8001``: the sandbox alone."""

import argparse
import sys

from web.sandbox.app import run
from web.sandbox.settings import SandboxSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m web.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--webhook-url", help="the application's Stripe intake (Connect endpoint)")
    parser.add_argument("--webhook-secret", default=SandboxSettings().stripe_webhook_secret)
    args = parser.parse_args()
    base_url = f"http://{args.host}:{args.port}"
    settings = SandboxSettings(
        base_url=base_url, stripe_webhook_url=args.webhook_url, stripe_webhook_secret=args.webhook_secret
    )
    sys.stdout.write(f"Sandbox: {base_url} (control API: {base_url}/_control/, see docs/sandbox.md)\n")
    run(settings, host=args.host, port=args.port)


main()
