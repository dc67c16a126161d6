"""Reading one delivery: what is signed, young and an event gets through; nothing else does, and nothing raises else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.intake.webhook import BadEventError, read_event, row_of
from tests.runtime import START
from tests.stripe_events import SECRET, encode, event, sign, v1

STAMP = int(START.timestamp())


def accepts(raw: bytes, signature: str, *secrets: str) -> bool:
    try:
        read_event(raw, signature, secrets or (SECRET,), START)
    except BadEventError:
        return False
    return True


@pytest.mark.parametrize(
    ("age_s", "ok"), [(0, True), (299, True), (300, True), (301, False), (-299, True), (-301, False), (604800, False)]
)
def test_only_young_signatures_count_by_our_clock_in_both_directions(age_s: int, ok: bool) -> None:
    raw = encode(event())
    assert accepts(raw, sign(raw, age_s=age_s)) is ok


def test_either_of_two_secrets_and_any_of_several_signatures_will_do() -> None:
    raw = encode(event())
    assert accepts(raw, sign(raw, secrets=("whsec_old",)), "whsec_new", "whsec_old")
    assert accepts(raw, sign(raw, secrets=("whsec_new",)), "whsec_new", "whsec_old")
    assert accepts(raw, sign(raw, secrets=("whsec_of_nobody", SECRET)))
    assert not accepts(raw, sign(raw, secrets=("whsec_of_nobody",)), "whsec_new", "whsec_old")
    assert not accepts(raw, sign(raw, secrets=()))


def test_the_fake_scheme_counts_for_nothing() -> None:
    raw = encode(event())
    assert not accepts(raw, f"t={STAMP},v0={v1(raw, STAMP)}")
    assert accepts(raw, f"t={STAMP},v0=junk,v1={v1(raw, STAMP)}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "t=,v1=",
        "v1={v1}",
        "t={t}",
        "t={t};v1={v1}",
        "t={t},v1={v1}x",
        " t={t},v1={v1}",
        "t={t},t=1,v1={other}",
        "t=1,t={t},v1={v1}",
        "\tt={t},t={old},v1={replayed}",
        "  t={t},t={old},v1={replayed}",
        "t={old},t={t},v1={replayed}",
        "t={old}={t},v1={replayed}",
    ],
)
def test_a_header_that_is_not_stripes_is_refused_and_an_old_signature_cannot_be_made_young(header: str) -> None:
    raw = encode(event())
    old = STAMP - 4000
    filled = header.format(t=STAMP, v1=v1(raw, STAMP), other=v1(raw, 1), old=old, replayed=v1(raw, old))
    assert not accepts(raw, filled)


@pytest.mark.parametrize("stamp", ["9" * 400, "-" + "9" * 400, "9" * 5000, str(2**63), "0", "-1"])
def test_a_signed_but_absurd_time_is_refused(stamp: str) -> None:
    raw = encode(event())
    assert not accepts(raw, f"t={stamp},v1={v1(raw, stamp)}")


ODD_EVENTS: list[Any] = [
    [],
    [event()],
    "event",
    1,
    None,
    {},
    event(id=None),
    event(id="evt_"),
    event(id="evt_" + "1" * 251),
    event(id="evt_1\x00"),
    event(id="EVT_1"),
    event(id=["evt_1"]),
    event(type=""),
    event(type="Payment"),
    event(type="a" * 256),
    event(type="payment_intent.\x00"),
    event(created="now"),
    event(created=-1),
    event(created=2**63),
    event(created=10**30),
    event(created=1.5),
    event(created=True),
    event(account=1),
    event(account="acct_../.."),
    event(account=""),
    event(data=None),
    event(data=[]),
    event(data={"object": None}),
    event(data={"object": []}),
    {**event(), "object": "v2.core.event"},
    {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "created": "2026-03-02T09:00:00Z",
    },
]


@pytest.mark.parametrize("body", ODD_EVENTS, ids=lambda body: str(body)[:40])
def test_a_signed_body_that_is_no_event_is_refused(body: Any) -> None:
    raw = encode(body)
    assert not accepts(raw, sign(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"id": "evt_\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
        encode(event()).replace(b'"livemode": false', b'"x": ' + b"[" * 60_000),
        encode(event()).replace(b'"livemode": false', b'"x": ' + b"]" * 60_000),
        encode(event()).replace(b'"livemode": false', b'"x": ' + b"[" * 60_000 + b"]" * 60_001),
        encode(event()).replace(b'"livemode": false', b'"x": "' + b"[" * 60_000 + b"]" * 60_000),
        encode(event()) + b"x",
        b"\xef\xbb\xbf" + encode(event()),
        encode(event()).replace(b'"livemode": false', b'"livemode": NaN'),
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_signed_junk_is_refused_without_another_exception(raw: bytes) -> None:
    assert not accepts(raw, sign(raw))


ODD_VALUES = {
    "emoji": '"\\ud83d"',
    "nul": '"\\u0000"',
    "1e400": "1e400",
    "long": "9" * 400,
    "longer than Python counts": "9" * 5_000,
    "negative and as long": "-" + "9" * 5_000,
    "nested lists": "[" * 50_000 + "]" * 50_000,
    "nested objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "nested beside half an emoji": '["\\ud83d", ' + "[" * 50_000 + "]" * 50_000 + "]",
    "brackets in texts": "[" * 5_000 + r'"]]\\", "}{\""' + "]" * 5_000,
    "nested in turns": "[" + ",".join(["[" * 2_000 + "]" * 2_000] * 3) + "]",
}


@pytest.mark.parametrize("odd", ODD_VALUES.values(), ids=ODD_VALUES)
def test_what_people_typed_into_stripe_does_not_make_an_event_junk(odd: str) -> None:
    """Half an emoji where Stripe cut a text is legal JSON: refused, the event would be lost after three days."""
    raw = encode(event()).replace(b'"object": "event"', f'"object": "event", "x": {odd}'.encode())
    assert accepts(raw, sign(raw))
    behind = encode(event(obj={"description": "?", "id": "pi_1"})).replace(b'"?"', odd.encode())
    row = row_of(
        read_event(behind, sign(behind), (SECRET,), START), behind, scope="platform", expects_live=False, now=START
    )
    assert (row["object_id"], row["payload"]) == ("pi_1", behind)


def test_of_a_key_that_is_there_twice_one_value_is_checked_and_kept() -> None:
    """Whoever signs may repeat a key; what is checked is what is stored."""
    raw = encode(event()).replace(b'"object": "event"', b'"object": "event", "account": "acct_other"', 1)
    read = read_event(raw, sign(raw), (SECRET,), START)
    row = row_of(read, raw, scope="platform", expects_live=False, now=START)
    assert row["account"] == read["account"]


def test_numbers_beyond_any_column_stay_in_the_payload() -> None:
    raw = encode(event(obj={"id": "pi_1", "amount": 10**40, "nested": {"x": -(10**25)}}))
    row = row_of(read_event(raw, sign(raw), (SECRET,), START), raw, scope="platform", expects_live=False, now=START)
    assert row["payload"] == raw


@pytest.mark.parametrize("object_id", [None, 1, "", "a\x00b", "../x", "é", "x" * 256, {"id": 1}])
def test_an_odd_object_id_is_left_out_of_the_row(object_id: Any) -> None:
    raw = encode(event(obj={"id": object_id}, api_version="2026\x00"))
    row = row_of(read_event(raw, sign(raw), (SECRET,), START), raw, scope="platform", expects_live=False, now=START)
    assert row["object_id"] is None
    assert row["api_version"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(raw=st.binary(max_size=300), header=st.text(max_size=200))
def test_unsigned_bytes_are_refused_whatever_they_are(raw: bytes, header: str) -> None:
    assert not accepts(raw, header)


@given(name=st.sampled_from(sorted(event())), value=JSON)
def test_a_signed_event_with_any_one_field_replaced_is_an_event_or_refused(name: str, value: Any) -> None:
    raw = json.dumps({**event(), name: value}).encode("utf-8", "surrogatepass")
    try:
        read = read_event(raw, sign(raw), (SECRET,), START)
    except BadEventError:
        return
    row = row_of(read, raw, scope="platform", expects_live=False, now=START)
    for text in (row["event_id"], row["type"], row["account"] or "", row["object_id"] or "", row["api_version"] or ""):
        assert "\x00" not in text
        assert len(text) <= 255
        text.encode()
