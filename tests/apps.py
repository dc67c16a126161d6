"""Applications for tests: their routes are put together once for each worker of the tests, not once for each test.

That takes Litestar a tenth of a second, in which most tests are over. ``tests/web/test_server.py`` and ``tests/e2e``
start the product as it is; ``tests/web/test_health.py`` builds its own.
"""

import copy
from functools import lru_cache

import msgspec
from litestar import Litestar
from litestar.datastructures import State
from litestar.events import SimpleEventEmitter

from core.config import Settings
from core.wiring import Wiring
from web.app import _lifespan, create_app


def app_over(wiring: Wiring) -> Litestar:
    """Return an application like that of ``create_app(wiring.settings, wiring=wiring)``.

    Its state and its lifespan are its own. The routes are those of another test's whose settings were the same but for
    the files and databases they name; nothing that answers a request reads these but through the state.
    """
    nowhere = msgspec.structs.replace(wiring.settings, database_url="sqlite:///nowhere", mock_books_path="nowhere")
    app = copy.copy(_put_together(nowhere))
    app.state = State({**app.state.dict(), "settings": wiring.settings})
    app.event_emitter = SimpleEventEmitter(listeners=())
    app._lifespan_managers = [_lifespan(wiring.settings, None, None, wiring, beats=False)]
    return app


@lru_cache(maxsize=16)
def _put_together(settings: Settings) -> Litestar:
    return create_app(settings)
