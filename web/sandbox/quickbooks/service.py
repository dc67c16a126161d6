"""One request after the gateway let it in: single writes, batches, reads, changes; answers as bytes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from web.sandbox.quickbooks import books, info, query
from web.sandbox.quickbooks.amounts import canonical, decode, encode, pacific
from web.sandbox.quickbooks.company import Company, Fields, Record
from web.sandbox.quickbooks.errors import UNEXPECTED, Refused, missing
from web.sandbox.quickbooks.fields import BY_PATH, NAME_LISTS, TRANSACTIONS
from web.sandbox.quickbooks.render import render, render_deleted
from web.sandbox.quickbooks.requests import StoredAnswer, check_form

BATCH_LIMIT = 30
_CDC_LIMIT = 1000
_CDC_DAYS = 30
_CDC_ENTITIES = (*NAME_LISTS, *TRANSACTIONS, "PaymentMethod")


@dataclass(frozen=True)
class Answer:
    """What goes back: a status and the exact bytes."""

    status: int
    body: bytes
    was_replayed: bool = False


@dataclass(frozen=True)
class Write:
    """One change, alone or as an item of a batch."""

    entity: str
    body: Any
    operation: str = ""
    include: frozenset[str] = field(default_factory=frozenset)

    def fingerprint(self) -> bytes:
        content = [self.entity, self.operation, sorted(self.include), self.body]
        return canonical(content)


def parse_body(raw: bytes) -> Any:
    try:
        return decode(raw)
    except msgspec.DecodeError as exc:
        raise Refused("2010", f"The request body is not valid JSON: {exc}") from None


def entity_of(path_name: str) -> str:
    entity = BY_PATH.get(path_name)
    if entity is None:
        raise Refused("500", f"Operation is not supported: {path_name}")
    return entity


def perform(company: Company, write: Write, now: datetime) -> Fields:
    """Do it and return the inside of the answer."""
    entity = write.entity
    is_void = write.operation == "void" or "void" in write.include
    if is_void and (entity == "Invoice") == (write.operation == "void"):
        return {entity: render(company, books.void(company, entity, write.body, now))}
    if write.operation == "delete":
        record = books.delete(company, entity, write.body, now)
        return {entity: render_deleted(company.deletions[-1])} if record else {}
    if is_void or write.operation not in ("", "create", "update"):
        raise Refused("500", f"Operation {write.operation} is not supported for {entity}")
    allow = "allowduplicatedocnum" in write.include
    return {entity: render(company, books.write(company, entity, write.body, now, allow_duplicate_number=allow))}


def single(company: Company, write: Write, request_id: str | None, now: datetime) -> Answer:
    """A POST that writes, under its request id."""
    time = pacific(now, milliseconds=True)
    try:
        if request_id is not None:
            check_form(request_id)
        stored = _stored(company, request_id, write.fingerprint())
        if stored is not None:
            return _replay(company, stored, time)
        status, content = _attempt(company, write, now)
    except Refused as refused:
        return Answer(refused.status, encode({"Fault": refused.fault(), "time": time}))
    body = encode({**content, "time": time})
    if request_id is not None:
        company.requests.store(request_id, StoredAnswer(write.fingerprint(), status, body))
    return Answer(status, body)


def _attempt(company: Company, write: Write, now: datetime) -> tuple[int, Fields]:
    """A refusal is an answer like any other: it is remembered under the request id, too."""
    try:
        content = perform(company, write, now)
    except Refused as refused:
        return refused.status, {"Fault": refused.fault()}
    company.counters["core"] += 1
    return 200, content


def _stored(company: Company, key: str | None, fingerprint: bytes) -> StoredAnswer | None:
    return company.requests.find(key, fingerprint) if key else None


def _replay(company: Company, stored: StoredAnswer, time: str) -> Answer:
    refused = _unclear_replay(company)
    if refused is not None:
        return Answer(refused.status, encode({"Fault": refused.fault(), "time": time}), was_replayed=True)
    return Answer(stored.status, stored.body, was_replayed=True)


def _unclear_replay(company: Company) -> Refused | None:
    """The two other answers to a repeat that people have seen."""
    match company.behaviour.replay:
        case "600":
            return Refused("600", "Duplicate Request ID : the request id was used before")
        case "6000":
            return Refused("6000", UNEXPECTED)
        case _:
            return None


def batch(company: Company, body: Any, request_id: str | None, now: datetime) -> Fields:
    """Not a transaction: every item stands or falls alone, and the whole answers 200."""
    items = body.get("BatchItemRequest") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise missing("BatchItemRequest")
    if len(items) > BATCH_LIMIT:
        raise Refused("1040", f"Batch size exceeds allowed limit : {len(items)} items, limit {BATCH_LIMIT}")
    if request_id is not None:
        check_form(request_id)
    archiving, company.archiving = company.archiving, None
    answers = []
    for number, item in enumerate(items):
        if archiving is not None and number == archiving.after_items:
            account = company.get("Account", archiving.account_id)
            account.fields["Active"], account.updated = False, now
            account.sync_token += 1
        answers.append(_batch_item(company, item, request_id, now))
    return {"BatchItemResponse": answers}


def _batch_item(company: Company, item: Any, request_id: str | None, now: datetime) -> Fields:
    b_id = item.get("bId", "") if isinstance(item, dict) else ""
    try:
        content = _item_content(company, item, request_id, str(b_id), now)
    except Refused as refused:
        content = {"Fault": refused.fault()}
    return {**content, "bId": b_id}


def _item_content(company: Company, item: Any, request_id: str | None, b_id: str, now: datetime) -> Fields:
    if not isinstance(item, dict) or not b_id:
        raise missing("bId")
    if "Query" in item:
        answer = query.run(company, str(item["Query"]))
        company.counters["core_plus"] += 1
        return {"QueryResponse": answer}
    write = _item_write(item)
    key = request_id + b_id if request_id is not None else None
    if key is not None and len(key) > 50:
        raise Refused("6000", "The request id together with the bId is longer than 50 characters")
    stored = _stored(company, key, write.fingerprint())
    if stored is not None:
        refused = _unclear_replay(company)
        if refused is not None:
            raise refused
        replayed: Fields = decode(stored.body)
        return replayed
    status, content = _attempt(company, write, now)
    if key is not None:
        company.requests.store(key, StoredAnswer(write.fingerprint(), status, encode(content)))
    return content


def _item_write(item: Fields) -> Write:
    entities = [key for key in item if key not in ("bId", "operation", "optionsData")]
    if len(entities) != 1:
        raise Refused("2010", "A batch item holds exactly one object or query")
    entity = BY_PATH.get(entities[0].lower())
    if entity is None or entity != entities[0]:
        raise Refused("2010", f"Property Name:{entities[0]} specified is unsupported or invalid")
    include = frozenset(str(item.get("optionsData", "")).split(",")) - {""}
    operation = str(item.get("operation", ""))
    if operation not in ("create", "update", "delete", "void"):
        raise Refused("2170", f"Invalid Enumeration : operation : {operation}")
    if operation == "create" and "Id" in item[entity]:
        raise Refused("2010", "Property Name:Id is invalid for create")
    return Write(entity, item[entity], operation, include)


def read_one(company: Company, entity: str, record_id: str) -> Fields:
    match entity:
        case "companyinfo":
            if record_id != company.realm_id:
                raise Refused("610", "Object Not Found : CompanyInfo")
            return {"CompanyInfo": info.company_info(company)}
        case _:
            record: Record = company.get(entity_of(entity), record_id)
            return {record.entity: render(company, record)}


def changes(company: Company, entities: str, since: str, now: datetime) -> Fields:
    """Change data capture: full objects, and the stubs of what was deleted."""
    try:
        moment = datetime.fromisoformat(since.replace(" ", "+"))
    except ValueError:
        raise Refused("2060", f"Invalid Date Format : changedSince : {since}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
    if now - moment > timedelta(days=_CDC_DAYS):
        raise Refused("4001", "changedSince is more than 30 days ago")
    room, answers = _CDC_LIMIT, []
    for name in entities.split(","):
        entity = BY_PATH.get(name.strip().lower())
        if entity not in _CDC_ENTITIES:
            raise Refused("4001", f"QueryValidationError: {name} is not supported for change data capture")
        found = _changed(company, entity, moment)[:room]
        room -= len(found)
        window = {"startPosition": 1, "maxResults": len(found), "totalCount": len(found)}
        answers.append({entity: found, **window} if found else {})
    return {"CDCResponse": [{"QueryResponse": answers}]}


def _changed(company: Company, entity: str, since: datetime) -> list[Fields]:
    # Printed times have no fractions of a second; compare as coarsely, or a change in the same second is missed.
    floor = since.replace(microsecond=0)
    live = [render(company, r) for r in company.records[entity].values() if r.updated >= floor]
    gone = [render_deleted(d, with_time=True) for d in company.deletions if d.entity == entity and d.at >= floor]
    return live + gone
