"""Suggestions: the likely account by name, or none; never a guess between equals."""

from dataclasses import dataclass

import pytest

from core.mapping.suggest import suggest_account


@dataclass(frozen=True)
class Account:
    name: str


CHART = [Account(n) for n in ("Wedding photography", "Portraits and minis", "Albums and prints", "Mentoring", "Sales")]


@pytest.mark.parametrize(
    ("service", "account"),
    [
        ("Mini session", "Portraits and minis"),
        ("Portrait session", "Portraits and minis"),
        ("Wedding retainer", "Wedding photography"),
        ("WEDDING", "Wedding photography"),
        ("Heirloom album", "Albums and prints"),
        ("Mentor hour", "Mentoring"),
    ],
)
def test_names_that_share_a_word_meet(service: str, account: str) -> None:
    assert suggest_account(service, CHART) == Account(account)


@pytest.mark.parametrize(
    "service", ["Travel fee", "", "Sales", "Service fee", "42", "!!!", "A very long wedding day out"]
)
def test_nothing_in_common_is_no_suggestion(service: str) -> None:
    assert suggest_account(service, CHART) is None


def test_two_equally_good_ones_are_none() -> None:
    assert suggest_account("Wedding", [Account("Wedding income"), Account("Wedding sales")]) is None
    assert suggest_account("Wedding", []) is None
