"""Why a payment is not in the books yet, in the reader's words.

A :class:`Reason` is stored with the item that it stops; its :class:`Wording` is what the pages say: what happened, what it
means for the books, and the one thing to do. Parameters in braces are filled from the JSON stored beside the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Every reason for which a record can wait or need a person. Values are stored: never rename one."""

    # waiting for something that needs no person
    BOOKS_NOT_CONNECTED = "books_not_connected"
    NOT_STARTED = "not_started"
    SETTLEMENT_PENDING = "settlement_pending"
    RATE_PENDING = "rate_pending"
    PERIOD_UNSURE = "period_unsure"
    RATE_LIMITED = "rate_limited"
    PROVIDER_DOWN = "provider_down"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RECONNECT_BOOKS = "reconnect_books"
    RECONNECT_STRIPE = "reconnect_stripe"
    OTHER_COMPANY = "other_company"
    PAYMENT_NOT_KNOWN = "payment_not_known"
    WAITS_FOR_PAYMENT = "waits_for_payment"
    STOPPED_BY_PERSON = "stopped_by_person"
    # needs a person
    ROLE_NOT_CHOSEN = "role_not_chosen"
    UNKNOWN_CATEGORY = "unknown_category"
    LOOKS_LIKE_DUPLICATE = "looks_like_duplicate"
    PAYOUT_DOES_NOT_TIE = "payout_does_not_tie"
    SERVICE_NOT_MAPPED = "service_not_mapped"
    CLEARING_NOT_CHOSEN = "clearing_not_chosen"
    ACCOUNT_INACTIVE = "account_inactive"
    TAX_CODE_MISFIT = "tax_code_misfit"
    CUSTOMER_INACTIVE = "customer_inactive"
    NAME_TAKEN = "name_taken"
    NUMBER_TAKEN = "number_taken"
    PERIOD_CLOSED = "period_closed"
    CURRENCY_NOT_ENABLED = "currency_not_enabled"
    SETTLED_ELSEWHERE = "settled_elsewhere"
    RATE_NOT_KNOWN = "rate_not_known"
    TOTALS_DIFFER = "totals_differ"
    CHANGED_IN_BOOKS = "changed_in_books"
    LINES_DO_NOT_ADD_UP = "lines_do_not_add_up"
    NO_RIGHTS = "no_rights"
    SUBSCRIPTION_ENDED = "subscription_ended"
    REFUSED = "refused"
    OUR_FAULT = "our_fault"
    # settled without a posting
    BEFORE_START = "before_start"
    IGNORED_BY_PERSON = "ignored_by_person"


class Action(StrEnum):
    """The one thing to do; the pages turn it into a button or a link."""

    NONE = "none"
    RETRY = "retry"
    CHOOSE_ACCOUNT = "choose_account"
    CHOOSE_CLEARING = "choose_clearing"
    CHOOSE_ROLE = "choose_role"
    CHOOSE_CATEGORY = "choose_category"
    RECONNECT_BOOKS = "reconnect_books"
    RECONNECT_STRIPE = "reconnect_stripe"
    CONNECT_BOOKS = "connect_books"
    FINISH_SETUP = "finish_setup"
    SEE_LINES = "see_lines"


@dataclass(frozen=True, slots=True)
class Wording:
    """What a reason says: a short line for the table, a title and an explanation for the page, one action."""

    short: str
    title: str
    explanation: str
    action: Action

    def filled(self, detail: Mapping[str, object]) -> "Wording":
        """Return the wording with its parameters; a missing one reads as a neutral word, never as an error."""
        values = _Lenient({k: str(v) for k, v in detail.items()})
        return Wording(
            self.short.format_map(values),
            self.title.format_map(values),
            self.explanation.format_map(values),
            self.action,
        )


class _Lenient(dict[str, str]):
    _FALLBACK: ClassVar[dict[str, str]] = {
        "service": "this service",
        "books": "your books",
        "client": "this client",
        "account": "that account",
        "role_name": "this",
        "category": "something else",
        "document": "A document",
        "change": "What stands there under our reference is not what we sent",
    }

    def __missing__(self, key: str) -> str:
        return self._FALLBACK.get(key, "…")


WORDING: dict[Reason, Wording] = {
    Reason.BOOKS_NOT_CONNECTED: Wording(
        "No books connected yet",
        "No books are connected yet",
        "The payment is stored. It posts by itself once you connect your books.",
        Action.CONNECT_BOOKS,
    ),
    Reason.NOT_STARTED: Wording(
        "Syncing has not started",
        "Syncing has not been started",
        "The payment is stored. Nothing is written to {books} until you choose a first day and start.",
        Action.FINISH_SETUP,
    ),
    Reason.SETTLEMENT_PENDING: Wording(
        "Waiting for Stripe's settled amount",
        "Stripe has not settled this payment yet",
        "The client paid in {currency}. We book the amount that Stripe settles, which arrives within seconds, sometimes hours.",
        Action.NONE,
    ),
    Reason.RATE_PENDING: Wording(
        "Waiting for the exchange rate in {books}",
        "The exchange rate of the invoice’s day is not read yet",
        "The invoice is in {currency}. We ask {books} for its rate of that day, then post. No action needed.",
        Action.NONE,
    ),
    Reason.PERIOD_UNSURE: Wording(
        "Asking {books} whether {date} is still open",
        "Whether {date} is closed in {books} is not read yet",
        "We never write into a closed month, so we ask first, then post. No action needed.",
        Action.NONE,
    ),
    Reason.RATE_LIMITED: Wording(
        "{books} asked us to slow down",
        "{books} asked us to slow down",
        "No action needed. We continue by ourselves at the time shown.",
        Action.NONE,
    ),
    Reason.PROVIDER_DOWN: Wording(
        "{books} is not answering",
        "{books} is not answering",
        "We try again every few minutes. Nothing is lost or doubled.",
        Action.NONE,
    ),
    Reason.OUTCOME_UNKNOWN: Wording(
        "Checking whether it arrived",
        "Checking whether it arrived",
        "The line broke while we were posting. We look it up in {books} before we try again.",
        Action.NONE,
    ),
    Reason.RECONNECT_BOOKS: Wording(
        "{books} needs you to sign in again",
        "{books} needs you to sign in again",
        "Payments are safe and waiting. They post by themselves once you reconnect.",
        Action.RECONNECT_BOOKS,
    ),
    Reason.OTHER_COMPANY: Wording(
        "Belongs to {company}",
        "The rest of this belongs to {company}",
        "{company} has the first part of it, and Stripe tells something new. Nothing was posted to the books that are"
        " connected now. Connect {company} again to have the rest booked there, or enter it there by hand.",
        Action.RECONNECT_BOOKS,
    ),
    Reason.RECONNECT_STRIPE: Wording(
        "Stripe is disconnected",
        "Stripe is disconnected",
        "We cannot see new payments. Nothing in your books changed.",
        Action.RECONNECT_STRIPE,
    ),
    Reason.PAYMENT_NOT_KNOWN: Wording(
        "Waiting for its payment",
        "Its payment has not arrived from Stripe yet",
        "This belongs to a payment that we are still reading from Stripe. It is booked as soon as that is known.",
        Action.NONE,
    ),
    Reason.WAITS_FOR_PAYMENT: Wording(
        "Waiting until its payment can be booked",
        "Its payment is not in {books} yet",
        "This belongs to a payment that waits itself. It is booked right after that one.",
        Action.NONE,
    ),
    Reason.STOPPED_BY_PERSON: Wording(
        "Posting is stopped",
        "You stopped posting to {books}",
        "Everything is kept and nothing is lost. Resume, and it goes on where it stopped.",
        Action.NONE,
    ),
    Reason.ROLE_NOT_CHOSEN: Wording(
        "No account chosen for this",
        "Which account is for {role_name}?",
        "This cannot be booked before an account is chosen. Nothing was posted for it. Choose one, or let us create it.",
        Action.CHOOSE_ROLE,
    ),
    Reason.UNKNOWN_CATEGORY: Wording(
        "Stripe calls this “{category}”",
        "We do not know where “{category}” belongs",
        "Stripe moved {amount} for a reason that we do not book by ourselves. Choose its account once; the clearing account is off by this amount until then.",
        Action.CHOOSE_CATEGORY,
    ),
    Reason.LOOKS_LIKE_DUPLICATE: Wording(
        "May already be in {books}",
        "This may already be in your books",
        "{document} in {books} has the same client, day and amount, and was made by someone else. Nothing was posted. Retry to post it all the same, or leave it out.",
        Action.RETRY,
    ),
    Reason.PAYOUT_DOES_NOT_TIE: Wording(
        "The payout does not add up",
        "This payout does not add up",
        "Its balance transactions come to {found}, the payout is {expected}. The transfer is booked; what is missing is not made up.",
        Action.RETRY,
    ),
    Reason.SERVICE_NOT_MAPPED: Wording(
        "No income account for this service",
        "Where should “{service}” go?",
        "This service has no income account yet. The payment is stored and posts as soon as you choose one.",
        Action.CHOOSE_ACCOUNT,
    ),
    Reason.CLEARING_NOT_CHOSEN: Wording(
        "No Stripe clearing account chosen",
        "Which account holds the money at Stripe?",
        "Every payment passes through a clearing account that mirrors your Stripe balance. Choose it once on the mapping page.",
        Action.CHOOSE_CLEARING,
    ),
    Reason.ACCOUNT_INACTIVE: Wording(
        "An account is no longer active",
        "{account} is no longer active",
        "It was archived in {books}. Nothing was posted for this payment until you choose another account.",
        Action.CHOOSE_ACCOUNT,
    ),
    Reason.TAX_CODE_MISFIT: Wording(
        "The tax code no longer fits",
        "The tax code no longer fits",
        "Stripe charged {charged}; “{tax_code}” would give another total, or is no longer active. Nothing was posted.",
        Action.CHOOSE_ACCOUNT,
    ),
    Reason.CUSTOMER_INACTIVE: Wording(
        "Customer is inactive in {books}",
        "{client} is inactive in {books}",
        "{books} does not accept new sales for an inactive customer. Make the customer active there, then retry.",
        Action.RETRY,
    ),
    Reason.NAME_TAKEN: Wording(
        "Another “{client}” exists",
        "Another “{client}” exists",
        "The name is used by someone else in {books}, and so are the names we would use instead. Rename one of them there, then retry.",
        Action.RETRY,
    ),
    Reason.NUMBER_TAKEN: Wording(
        "That number is already used",
        "That number is already used",
        "A document in {books} that is not ours has the number {reference}. Nothing was changed. Renumber it there, then retry.",
        Action.RETRY,
    ),
    Reason.PERIOD_CLOSED: Wording(
        "That month is closed in {books}",
        "That month is closed in {books}",
        "The payment is dated {date}; your books are locked to {closed_to}. We never write into a closed month. Reopen it, then retry.",
        Action.RETRY,
    ),
    Reason.CURRENCY_NOT_ENABLED: Wording(
        "{currency} is not a currency of your books",
        "{currency} is not switched on in your books",
        "Your books are kept in {home_currency}, and this payment needs {currency}. Nothing was posted. Switch {currency} on"
        " there, or choose the settled amount for sales in other currencies under Accounts, then retry.",
        Action.RETRY,
    ),
    Reason.SETTLED_ELSEWHERE: Wording(
        "Stripe keeps this in {currency}",
        "Stripe keeps this money in {currency}",
        "Your books are kept in {home_currency}, and of the Stripe balance Tieout books that currency alone. Nothing was"
        " posted: enter this one in your books by hand and leave it out here. To have later ones booked, let Stripe convert"
        " {currency} to {home_currency}: keep no bank account in {currency} at Stripe.",
        Action.NONE,
    ),
    Reason.RATE_NOT_KNOWN: Wording(
        "Only {books} knows the rate of this sale",
        "The rate of the original sale is known to {books} alone",
        "The sale was booked in {currency} at a rate that {books} chose. We cannot take it back to the cent, so nothing"
        " was posted. Book this in {books} yourself, from the Stripe clearing account, then ignore it here.",
        Action.NONE,
    ),
    Reason.TOTALS_DIFFER: Wording(
        "Books total differs from the payment",
        "Books total is {difference} off",
        "{books} shows {found}, the client paid {expected}. We stopped there and post nothing more for this payment.",
        Action.SEE_LINES,
    ),
    Reason.CHANGED_IN_BOOKS: Wording(
        "Changed in {books}",
        "Someone changed this in {books}",
        "{change}. We never overwrite it, nor make it again by ourselves. Compare both and correct it there, then retry;"
        " what was removed can be recreated.",
        Action.SEE_LINES,
    ),
    Reason.LINES_DO_NOT_ADD_UP: Wording(
        "The parts do not add up to the payment",
        "The parts do not add up to the payment",
        "Stripe's lines come to {found}, the client paid {expected}. We stopped before posting.",
        Action.SEE_LINES,
    ),
    Reason.NO_RIGHTS: Wording(
        "This sign-in may not post to {books}",
        "This sign-in may not post to {books}",
        "The person who connected lacks a role there. An administrator can connect instead. Nothing was posted.",
        Action.RECONNECT_BOOKS,
    ),
    Reason.SUBSCRIPTION_ENDED: Wording(
        "Your {books} plan takes no entries now",
        "Your {books} plan takes no entries now",
        "It is paused there, or the limit of the plan is reached. We keep everything. Change the plan there, then retry.",
        Action.RETRY,
    ),
    Reason.REFUSED: Wording(
        "{books} refused this entry",
        "{books} refused this entry",
        "Nothing was posted by that step. What {books} said is below; correct it there, then retry.",
        Action.RETRY,
    ),
    Reason.OUR_FAULT: Wording(
        "Stopped by a fault of ours",
        "We stopped because of a fault of ours",
        "The payment is stored and nothing was posted twice. Quote incident {incident} to support, or retry.",
        Action.RETRY,
    ),
    Reason.BEFORE_START: Wording(
        "Before your first day",
        "This payment is older than your first day",
        "Syncing starts at {start}. Earlier payments stay out of {books}.",
        Action.NONE,
    ),
    Reason.IGNORED_BY_PERSON: Wording(
        "Left out by you",
        "You left this payment out of the books",
        "{why}",
        Action.RETRY,
    ),
}
