"""QuickBooks' errors in the shapes that were recorded: fault envelope, gateway 401, throttle in XML."""

from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from web.sandbox.faults import FaultAnswer, FaultRule
from web.sandbox.quickbooks.amounts import encode, pacific

JSON_HEADERS = [("content-type", "application/json;charset=UTF-8")]
XML_HEADERS = [("content-type", "application/xml;charset=UTF-8")]

MESSAGES = {
    "100": "General Authentication Error",
    "120": "Authorization Failure",
    "130": "Accessing Wrong Cluster",
    "140": "Company Locked Out",
    "150": "Company Under Maintenance",
    "500": "Unsupported Operation",
    "600": "Duplicate Request ID",
    "610": "Object Not Found",
    "620": "Transaction cannot be linked",
    "1040": "Batch size exceeds allowed limit",
    "2000": "Invalid or unsupported object name",
    "2010": "Request has invalid or unsupported property",
    "2020": "Required param missing, need to supply the required value for the API",
    "2030": "Invalid ID",
    "2040": "Invalid String",
    "2050": "String length is either shorter or longer than supported by specification",
    "2060": "Invalid Date Format",
    "2080": "Invalid Number Format",
    "2130": "Invalid Request Id Format",
    "2140": "Invalid Amount",
    "2170": "Invalid Enumeration",
    "2210": "Invalid Email Address format",
    "2230": "Invalid Boolean",
    "2250": "Missing lines",
    "2260": "Missing PostingType",
    "2290": "Negative Amount",
    "2300": "Amount on debits not equal to credits",
    "2500": "Invalid Reference Id",
    "3100": "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403",
    "4000": "Error parsing query",
    "4001": "Invalid query",
    "4002": "The query could not be processed",
    "5010": "Stale Object Error",
    "5030": "Feature Not Supported Error",
    "6000": "A business validation error has occurred while processing your request",
    "6010": "Invalid Account.AccountType && Account.SubType",
    "6070": "Amount calculation incorrect in the request",
    "6080": "No Name Provided",
    "6090": "Discount Line missing required info",
    "6100": "Invalid Line TaxCode in the request",
    "6140": "Duplicate Document Number Error",
    "6160": "Invalid TaxCodeRef Error",
    "6170": "Invalid TxnTaxDetail Error",
    "6190": "Invalid Company Status",
    "6200": "Account Period Closed, Cannot Update Through Services API",
    "6210": "Account Period Closed, Cannot Update Through Services API",
    "6230": "Invalid TaxCodeRef Error",
    "6240": "Duplicate Name Exists Error",
    "6250": "Invalid Customer",
    "6430": "Invalid account type",
    "6480": "Cannot change a transaction matched to a bank record",
    "6540": "Deposited Transaction cannot be changed",
    "10000": "An application error has occurred while processing your request",
    "10200": "Company was reset",
}


UNEXPECTED = (
    "An unexpected error occurred while accessing or saving your data. Please wait a few minutes and try again. "
    "If the problem persists, contact customer support."
)
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_NAMESPACE = 'xmlns="http://schema.intuit.com/finance/v3"'


class Refused(Exception):  # noqa: N818 - reads as what happened: the request was refused
    """A fault on its way to the answer."""

    def __init__(self, code: str, detail: str = "", *, element: str = "", message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.message = message or MESSAGES.get(code, "Business Validation Error")
        self.detail = detail or self.message
        self.element = element
        self.status = status

    @property
    def kind(self) -> str:
        if self.code in ("100", "110"):
            return "AuthenticationFault"
        if self.code in ("120", "3100"):
            return "AuthorizationFault"
        return "SystemFault" if self.status >= 500 or self.code == "10000" else "ValidationFault"

    def fault(self) -> dict[str, Any]:
        error = {"Message": self.message, "Detail": self.detail, "code": self.code, "element": self.element}
        return {"Error": [error], "type": self.kind}


def missing(name: str) -> Refused:
    return Refused("2020", f"Required parameter {name} is missing in the request", element=name)


def business(detail: str) -> Refused:
    """The catch-all for business rules: only the text tells them apart."""
    return Refused("6000", f"Business Validation Error: {detail}")


def not_found() -> Refused:
    return Refused("610", "Object Not Found : Something you're trying to use has been made inactive or was removed.")


def unauthorized(now: datetime, detail: str) -> bytes:
    """The gateway's 401: lower-case keys and a number for the time."""
    message = "message=AuthenticationFailed; errorCode=003200; statusCode=401"
    error = {"message": message, "detail": detail, "code": "3200", "element": None}
    return encode(
        {
            "warnings": None,
            "intuitObject": None,
            "fault": {"error": [error], "type": "AUTHENTICATION"},
            "report": None,
            "queryResponse": None,
            "batchItemResponse": [],
            "time": int(now.timestamp() * 1000),
        }
    )


def forbidden(now: datetime) -> bytes:
    error = {"message": MESSAGES["3100"], "detail": "", "code": "3100", "element": None}
    return encode({"fault": {"error": [error], "type": "AUTHORIZATION"}, "time": int(now.timestamp() * 1000)})


def throttled(now: datetime, *, as_json: bool) -> FaultAnswer:
    """The 429 answer; XML was recorded although JSON had been asked for, the JSON form is a guess."""
    message = "message=ThrottleExceeded; errorCode=003001; statusCode=429"
    detail = "The request limit was reached.  Try again later"
    if as_json:
        error = {"Message": message, "Detail": detail, "code": "3001"}
        body = encode({"Fault": {"Error": [error], "type": "SERVICE"}, "time": pacific(now, milliseconds=True)})
        return FaultAnswer(429, list(JSON_HEADERS), body)
    element = f'<Error code="3001"><Message>{message}</Message><Detail>{detail}</Detail></Error>'
    text = (
        f'{_XML}<IntuitResponse time="{pacific(now, milliseconds=True)}" {_NAMESPACE}>'
        f'<Fault type="SERVICE">{element}</Fault></IntuitResponse>'
    )
    return FaultAnswer(429, list(XML_HEADERS), text.encode())


def injected(rule: FaultRule, now: datetime) -> FaultAnswer:
    """An error that a fault rule asks for: 401 and 429 as the gateway words them, the rest as a fault envelope."""
    if rule.status == 429:
        return throttled(now, as_json=rule.code == "json")
    if rule.status == 401:
        detail = rule.message or "Token expired: injected by the sandbox"
        headers = [*JSON_HEADERS, ("www-authenticate", 'Bearer realm="Intuit", error="invalid_token"')]
        return FaultAnswer(401, headers, unauthorized(now, detail))
    if rule.status == 403 and rule.code in (None, "3100"):
        return FaultAnswer(403, list(JSON_HEADERS), forbidden(now))
    code = rule.code or ("10000" if rule.status >= 500 else "6000")
    detail = rule.message or UNEXPECTED
    return FaultAnswer(rule.status, list(JSON_HEADERS), envelope(Refused(code, detail, status=rule.status), now))


def envelope(refused: Refused, now: datetime) -> bytes:
    return encode({"Fault": refused.fault(), "time": pacific(now, milliseconds=True)})


def to_xml(body: dict[str, Any]) -> bytes:
    """An answer for a client that did not ask for JSON; correct enough to be told apart from JSON at once."""
    inner = "".join(_element(key, value) for key, value in body.items() if key != "time")
    time = escape(str(body.get("time", "")))
    return f'{_XML}<IntuitResponse {_NAMESPACE} time="{time}">{inner}</IntuitResponse>'.encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, item) for key, item in value.items())}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"
