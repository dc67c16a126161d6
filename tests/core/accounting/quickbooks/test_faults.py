"""Every form of refusal, and what may be done after it."""

import httpx
import pytest

from core.accounting.port import PreparedWrite
from core.errors import (
    AccessExpiredError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, invoice
from tests.core.accounting.quickbooks.stub import answering, fault, found, opened

UNEXPECTED = (
    "An unexpected error occurred while accessing or saving your data. Please wait a few minutes and try again."
)
GATEWAY_401 = (
    b'{"warnings":null,"intuitObject":null,"fault":{"error":[{'
    b'"message":"message=AuthenticationFailed; errorCode=003200; statusCode=401","detail":"Token expired",'
    b'"code":"3200","element":null}],"type":"AUTHENTICATION"},"report":null,"queryResponse":null,'
    b'"batchItemResponse":[],"time":1601391072830}'
)
THROTTLED_XML = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><IntuitResponse time="2026-05-05T02:08:54.543-07:00" '
    b'xmlns="http://schema.intuit.com/finance/v3"><Fault type="SERVICE"><Error code="3001"><Message>message='
    b"ThrottleExceeded; errorCode=003001; statusCode=429</Message><Detail>The request limit was reached.  "
    b"Try again later</Detail></Error></Fault></IntuitResponse>"
)
DEEP = b"[" * 100_000


def a_write() -> PreparedWrite:
    ids = {CUSTOMER.step: "60", "item:prod_portrait:79": "23"}
    return opened().prepare(invoice(), key="key-1", ids=ids)


async def outcome(*answers: httpx.Response | Exception) -> ProviderError:
    provider, _ = answering(*answers)
    with pytest.raises(ProviderError) as caught:
        await provider.execute(a_write())
    return caught.value


async def read_outcome(*answers: httpx.Response | Exception) -> ProviderError:
    provider, _ = answering(*answers)
    with pytest.raises(ProviderError) as caught:
        await provider.look_up(a_write())
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.ReadTimeout("slow"), id="no answer"),
        pytest.param(httpx.ReadError("reset"), id="line broken"),
        pytest.param(httpx.RemoteProtocolError("cut"), id="cut off"),
        pytest.param(httpx.Response(500), id="500 empty"),
        pytest.param(httpx.Response(502, text="<html>Bad gateway</html>"), id="502 page"),
        pytest.param(httpx.Response(504, json={"x": 1}), id="504 json"),
        pytest.param(fault("10000", status=500, kind="SystemFault"), id="system fault"),
        pytest.param(fault("10000", status=400), id="10000 as 400"),
        pytest.param(fault("6000", detail=UNEXPECTED), id="6000 unexpected"),
        pytest.param(fault("600"), id="600 request id seen"),
        pytest.param(fault("1", kind="SystemFault", status=200), id="system fault with 200"),
        pytest.param(httpx.Response(408), id="408"),
        pytest.param(httpx.Response(302, headers={"location": "https://evil.test"}), id="redirect"),
        pytest.param(httpx.Response(200, text=""), id="200 empty"),
        pytest.param(httpx.Response(200, json={}), id="200 without object"),
        pytest.param(httpx.Response(200, json=[]), id="200 list"),
        pytest.param(httpx.Response(200, content=b'{"Invoice":{"Id":"1"'), id="200 truncated"),
        pytest.param(httpx.Response(200, content=b'{"Invoice":{"Id":1}}'), id="200 with another type"),
        pytest.param(httpx.Response(200, json={"Invoice": {"TotalAmt": 1}}), id="200 without id"),
        pytest.param(httpx.Response(200, json={"Invoice": {"Id": "", "TotalAmt": 1}}), id="200 with empty id"),
        pytest.param(httpx.Response(200, content=DEEP), id="200 deep"),
        pytest.param(httpx.Response(200, content=b"\xff\xfe\x00"), id="200 not text"),
        pytest.param(
            httpx.Response(
                200, json={"Invoice": {"Id": "1", "DocNumber": "X", "PrivateNote": "other", "TotalAmt": 250}}
            ),
            id="200 about another document",
        ),
    ],
)
async def test_a_write_that_may_have_happened_is_unknown(answer: httpx.Response | Exception) -> None:
    error = await outcome(answer)
    assert isinstance(error, OutcomeUnknownError)
    assert error.answered is not isinstance(answer, Exception)


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")])
async def test_a_write_that_never_left_is_not_sent(answer: Exception) -> None:
    assert isinstance(await outcome(answer), NotSentError)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.ReadTimeout("slow"), id="no answer"),
        pytest.param(httpx.Response(500), id="500"),
        pytest.param(fault("10000", status=500, kind="SystemFault"), id="system fault"),
        pytest.param(httpx.Response(200, text="junk"), id="junk"),
        pytest.param(httpx.Response(200, json={"QueryResponse": {"Invoice": 7}}), id="another type"),
        pytest.param(httpx.Response(200, json={"QueryResponse": {"Invoice": [{"Id": 7}]}}), id="another type inside"),
        pytest.param(httpx.Response(200, content=DEEP), id="deep"),
    ],
)
async def test_a_read_without_a_usable_answer_says_come_back_later(answer: httpx.Response | Exception) -> None:
    assert isinstance(await read_outcome(answer), ProviderUnavailableError)


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        pytest.param(httpx.Response(429, content=THROTTLED_XML), None, id="xml"),
        pytest.param(httpx.Response(403, content=THROTTLED_XML), None, id="xml with 403"),
        pytest.param(fault("3001", status=429), None, id="json"),
        pytest.param(httpx.Response(429, text="slow down"), None, id="text"),
        pytest.param(httpx.Response(429, headers={"retry-after": "7"}), 7, id="seconds"),
        pytest.param(httpx.Response(429, headers={"retry-after": "0"}), None, id="zero"),
        pytest.param(httpx.Response(429, headers={"retry-after": "-5"}), None, id="negative"),
        pytest.param(httpx.Response(429, headers={"retry-after": "soon"}), None, id="nonsense"),
        pytest.param(
            httpx.Response(
                429,
                headers={"retry-after": "Fri, 20 Nov 2026 10:02:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"},
            ),
            90,
            id="date",
        ),
        pytest.param(
            httpx.Response(429, headers={"retry-after": "Fri, 99 Nov 2026 10:02:00 GMT"}), None, id="nonsense date"
        ),
    ],
)
async def test_throttled_in_every_form(answer: httpx.Response, pause_s: float | None) -> None:
    error = await outcome(answer)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == pause_s


@pytest.mark.parametrize("answer", [httpx.Response(401, content=GATEWAY_401), httpx.Response(401), fault("3200")])
async def test_a_refused_token(answer: httpx.Response) -> None:
    assert isinstance(await outcome(answer), AccessExpiredError)


@pytest.mark.parametrize("code", ["130", "140", "150"])
async def test_maintenance_waits_a_quarter_of_an_hour(code: str) -> None:
    error = await outcome(fault(code, status=503, kind="SystemFault"))
    assert isinstance(error, ProviderUnavailableError)
    assert error.retry_after_s == 900


async def test_a_reset_company_must_be_connected_again() -> None:
    assert isinstance(await outcome(fault("10200")), ReconnectRequiredError)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("3100", Reason.NO_RIGHTS),
        ("120", Reason.NO_RIGHTS),
        ("5020", Reason.NO_RIGHTS),
        ("6140", Reason.NUMBER_TAKEN),
        ("6240", Reason.NAME_TAKEN),
        ("6190", Reason.SUBSCRIPTION_ENDED),
        ("620", Reason.CHANGED_IN_BOOKS),
        ("6100", Reason.TAX_CODE_MISFIT),
        ("6160", Reason.TAX_CODE_MISFIT),
        ("6170", Reason.TAX_CODE_MISFIT),
        ("6230", Reason.TAX_CODE_MISFIT),
        ("2010", Reason.OUR_FAULT),
        ("2050", Reason.OUR_FAULT),
        ("2300", Reason.OUR_FAULT),
        ("6070", Reason.OUR_FAULT),
        ("4001", Reason.OUR_FAULT),
        ("6540", Reason.REFUSED),
        ("5030", Reason.REFUSED),
        ("6000", Reason.REFUSED),
        ("999999", Reason.REFUSED),
    ],
)
@pytest.mark.parametrize("status", [400, 200])
async def test_a_definite_refusal_has_its_reason(code: str, reason: Reason, status: int) -> None:
    error = await outcome(fault(code, detail="Detail", status=status))
    assert isinstance(error, ProviderRejectedError)
    assert (error.reason, error.provider_code, error.request_id) == (reason, code, "1-abc")
    assert error.text == "Message: Detail"


async def test_a_refusal_fills_the_words_of_its_reason() -> None:
    number = await outcome(fault("6140"))
    period = await outcome(fault("6200"), httpx.Response(500))
    tax = await outcome(fault("6100"))
    assert isinstance(number, ProviderRejectedError)
    assert number.detail == {"reference": "TO-4F7K2M9QXD3A"}
    assert isinstance(period, ProviderRejectedError)
    assert period.reason is Reason.PERIOD_CLOSED
    assert period.detail == {"date": "2026-11-20", "closed_to": "a later day"}
    assert isinstance(tax, ProviderRejectedError)
    assert set(tax.detail) == {"charged", "tax_code"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(403, text="<h1>Forbidden</h1><script>x</script>"), id="page"),
        pytest.param(httpx.Response(403, json={"fault": {"error": [], "type": "AUTHORIZATION"}}), id="no errors"),
    ],
)
async def test_forbidden_without_words_is_about_rights(answer: httpx.Response) -> None:
    error = await outcome(answer)
    assert isinstance(error, ProviderRejectedError)
    assert error.reason is Reason.NO_RIGHTS
    assert "<" not in error.text


async def test_a_long_hostile_message_is_cut() -> None:
    error = await outcome(fault("6000", detail="<script>" * 1000))
    assert len(error.text) == 300


async def test_one_unknown_among_several_faults_counts() -> None:
    errors = [{"Message": "m", "code": "6140"}, {"Message": "m", "code": "10000"}]
    answer = httpx.Response(400, json={"Fault": {"Error": errors, "type": "ValidationFault"}})
    assert isinstance(await outcome(answer), OutcomeUnknownError)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Fault":null}',
        b'{"Fault":[]}',
        b'{"Fault":{"Error":"x"}}',
        b'{"Fault":{"Error":[1,null,"x"]}}',
        b'{"Fault":{"Error":[{"code":{"a":1},"Message":["x"]}]}}',
        b"<IntuitResponse><Fault><Error></Error></Fault>",
        b"<Fault" * 5000,
        DEEP,
        b"",
    ],
)
async def test_a_malformed_refusal_is_still_a_refusal(body: bytes) -> None:
    error = await outcome(httpx.Response(400, content=body))
    assert isinstance(error, ProviderRejectedError)
    assert error.reason is Reason.REFUSED


# -- which reference is at fault


@pytest.mark.parametrize(
    ("answers", "reason", "detail"),
    [
        pytest.param(
            [fault("610"), found("Customer", {"Id": "60", "DisplayName": "Ana Lima", "Active": False})],
            Reason.CUSTOMER_INACTIVE,
            {"client": "Ana Lima"},
            id="customer archived",
        ),
        pytest.param([fault("2500"), found("Customer")], Reason.CUSTOMER_INACTIVE, {}, id="customer gone"),
        pytest.param(
            [fault("610"), found("Customer", {"Id": "60", "DisplayName": "Ana Lima"}), found("Item", {"Id": "23"})],
            Reason.REFUSED,
            {},
            id="another",
        ),
        pytest.param(
            [fault("2500", element="TaxCodeRef"), found("Customer", {"Id": "60"}), found("Item")],
            Reason.TAX_CODE_MISFIT,
            {},
            id="tax",
        ),
        pytest.param([fault("610"), httpx.Response(500)], Reason.REFUSED, {}, id="question unanswered"),
    ],
)
async def test_an_inactive_reference_is_named(
    answers: list[httpx.Response], reason: Reason, detail: dict[str, str]
) -> None:
    error = await outcome(*answers)
    assert isinstance(error, ProviderRejectedError)
    assert (error.reason, error.detail) == (reason, detail)
