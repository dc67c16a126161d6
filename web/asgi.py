"""The application as servers import it: ``uvicorn web.asgi:app``. ``tieout web`` sets the server up properly."""

from core.config import load_settings
from core.logging import configure_logging
from web.app import create_app

_settings = load_settings()
configure_logging(_settings.log_level, tracebacks=not _settings.is_production)
app = create_app(_settings)
