"""The smallest Django project that receives Stripe's events with dj-stripe, set up as well as its manuals allow.

It runs in the peer's environment, never in ours. ``python project.py`` makes the tables, the account and the endpoint;
gunicorn serves ``project:application``. ``PEER_DATABASE`` is a PostgreSQL address or a path, ``PEER_SECRET`` signs,
``PEER_ACCOUNT`` is the account that the events tell of, ``PEER_ENDPOINT`` the endpoint's UUID, and ``PEER_DEFERS`` not
empty keeps requests for later.
"""

import os
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

_APPS = ["contenttypes", "auth", "djstripe"]


def _database(address: str) -> dict[str, Any]:
    # Connections are kept, as Tieout keeps its own: Django's default opens one for every request.
    if not address.startswith("postgresql:"):
        durable = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000"
        # IMMEDIATE: a transaction that begins as a reader is refused, however long it would wait, once another wrote.
        options = {"transaction_mode": "IMMEDIATE", "init_command": durable, "timeout": 30}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": address, "CONN_MAX_AGE": None, "OPTIONS": options}
    parts = urlsplit(address)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
    }


def keep_for_later(trigger: Any, *, api_key: str) -> None:
    """Leave the event where it is: the request is stored with its body, and a queue would find it there."""


settings.configure(
    SECRET_KEY=os.environ["PEER_SECRET"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
    # The tables as the models describe them: the same ones, without a minute of history.
    MIGRATION_MODULES=dict.fromkeys(_APPS),
    # It says how long the answer is; the rest of Django's usual row would only cost the peer time.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": _database(os.environ["PEER_DATABASE"])},
    USE_TZ=True,
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    DJSTRIPE_WEBHOOK_VALIDATION="verify_signature",
    DJSTRIPE_WEBHOOK_EVENT_CALLBACK=keep_for_later if os.environ["PEER_DEFERS"] else None,
    STRIPE_LIVE_MODE=False,
    STRIPE_TEST_SECRET_KEY="sk_test_of_the_benchmark",
    # Nobody listens there: a call to Stripe would be refused at once, and the event with it.
    STRIPE_API_HOST="http://127.0.0.1:9",
)
django.setup()


def health(_request: HttpRequest) -> HttpResponse:
    """Say that it runs."""
    return HttpResponse("ok")


urlpatterns = [path("health", health), path("stripe/", include("djstripe.urls", namespace="djstripe"))]


def _prepare() -> None:
    from djstripe.models import Account, WebhookEndpoint

    call_command("migrate", run_syncdb=True, verbosity=0)
    Account.objects.create(id=os.environ["PEER_ACCOUNT"], livemode=False, stripe_data={})
    WebhookEndpoint.objects.create(
        id="we_bench",
        livemode=False,
        secret=os.environ["PEER_SECRET"],
        url="http://127.0.0.1/",
        enabled_events=["*"],
        status="enabled",
        djstripe_uuid=os.environ["PEER_ENDPOINT"],
        stripe_data={},
    )


if __name__ == "__main__":
    _prepare()
else:
    application = get_wsgi_application()
