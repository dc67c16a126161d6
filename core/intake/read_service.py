"""Which service was sold: by its product, else by the payment's own words, else nothing (never a guess)."""

import re
from typing import Any

from core.intake.facts import DEFAULT_KEY, ServiceRef, Sources
from core.intake.handlers.registry import id_of
from core.intake.loose import clean_text, dig

SERVICE_METADATA = (
    "product_id",
    "product",
    "price_id",
    "price",
    "service_id",
    "service",
    "service_name",
    "appointment_type",
    "appointment_type_id",
    "booking_type",
    "event_type",
    "package",
    "plan",
    "sku",
)
"""Metadata keys that booking platforms use for what was sold, in the order in which they are tried."""

_TEXT_FIELDS = ("description", "statement_descriptor_suffix", "statement_descriptor")

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY = r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\b,?\s+)?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?\b"
_COUNTED = r"(?!\s*-?(?:min|hour|hr|day|week|month|year|session|photo|image|print|people|person|x\b))"
_NUMBERS = re.compile(
    rf"#\s*\w+"
    rf"|\b{_WEEKDAY}{_MONTH}\s+{_DAY}(?:,?\s+\d{{4}}\b)?"
    rf"|\b{_WEEKDAY}{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}}\b)?"
    rf"|\b{_MONTH}\s+\d{{4}}\b"
    rf"|\b\d{{1,2}}(?:[:.]\d{{2}})?\s?[ap]\.?m\b\.?"
    r"|\b[a-z]{1,6}-?\d{3,}+[\w:-]*+"
    r"|\b\d{3,}+(?=[\w:-]*\d)[\w:-]++"
    r"|\b(?!1:1\b)\d++(?:[/.:-]\d++)++(?!\w)"
    rf"|\b(?<!:)\d++(?!\w|:\d){_COUNTED}",
    re.IGNORECASE,
)
"""Booking numbers, dates and times. What counts a thing (60 minutes, 20 photos, 1:1) belongs to its name."""

_DANGLING = re.compile(r"(?:[\W_]+(?:on|at|for|from|of|to|by|no|nr|the|and|booking|ref))*[\W_]*$", re.IGNORECASE)


def service_of_product(product: Any, description: Any) -> ServiceRef:
    """Return the service behind a Stripe product (an id or the object), or of its line's words where there is none."""
    product_id = clean_text(id_of(product), 250)
    name = clean_text(product.get("name"), 300) if isinstance(product, dict) else ""
    name = name or clean_text(description, 300) or product_id or "Sale"
    # Merchants may choose ids of products themselves; one of our own keys must not be among them.
    is_product = bool(product_id) and product_id != DEFAULT_KEY and not product_id.startswith("text:")
    return ServiceRef(product_id, name) if is_product else text_service(name)


def text_service(name: str) -> ServiceRef:
    """Return the service of these words."""
    return ServiceRef(f"text:{normal(name)}", name)


def service_by_words(sources: Sources) -> tuple[ServiceRef, str]:
    """Return what the payment's own words name, and which they were: metadata first, then the description."""
    for owner, data in (("payment", sources.intent), ("charge", sources.charge), ("checkout", sources.session)):
        metadata = dig(data, "metadata")
        if isinstance(metadata, dict):
            for key in SERVICE_METADATA:
                value = clean_text(metadata.get(key), 300)
                if value:
                    return _service_from(value), f"metadata “{key}” of the {owner}"
    for field in _TEXT_FIELDS:
        value = clean_text((sources.intent or {}).get(field) or sources.charge.get(field), 300)
        cleaned = clean_words(value)
        if cleaned:
            return text_service(cleaned), f"{field.replace('_', ' ')} of the payment"
    return ServiceRef(DEFAULT_KEY, "Anything else"), "nothing on the payment names a service"


def _service_from(value: str) -> ServiceRef:
    if re.fullmatch(r"prod_[A-Za-z0-9]{1,250}", value):
        return ServiceRef(value, value)
    return text_service(value)


def clean_words(text: str) -> str:
    """Return ``text`` without booking numbers, dates and times, so that each booking is not a service of its own."""
    words = re.sub(r"\s+([:,;)])", r"\1", " ".join(_NUMBERS.sub(" ", text).split()))
    return _DANGLING.sub("", words).lstrip(" -–—:,|()#.").strip()


def normal(text: str) -> str:
    """Return ``text`` as it is compared: case and spaces do not count."""
    return " ".join(text.casefold().split())[:280]
