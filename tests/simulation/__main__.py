"""``python -m tests.simulation``: play many seeds, print what happened to whom, exit 1 where anything was wrong."""

from tests.simulation import disk

disk.install()

from tests.simulation.run import main  # noqa: E402 - the driver must be in its place before anything is opened

raise SystemExit(main())
