"""``make migration m="add payouts"``: write a migration for whatever the models have and the newest one has not."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from core.db.migrate import alembic_config, upgrade


def main() -> int:
    """Compare the models with a fresh database at its newest shape; the file goes to core/db/migrations/versions."""
    message = " ".join(sys.argv[1:]).strip()
    if not message:
        sys.stdout.write('Say what it does: make migration m="add payouts"\n')
        return 2
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'empty.db'}"
        upgrade(url)
        command.revision(alembic_config(url), message=message, autogenerate=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
