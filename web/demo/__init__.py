"""The demo: app and sandbox on this machine, with a workspace in which something happens."""

from web.demo.run import run_demo

__all__ = ["run_demo"]
