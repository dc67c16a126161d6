"""Where income goes: the tenant's choices as pure data, and which of them holds for a service.

The choices are read from the database by :mod:`core.mapping.rules`; nothing here knows of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MappingChoice:
    """One decision, with its version and author, so that every ledger line can name it.

    Attributes:
        mapping_id: id of the stored version.
        set_by: name of the person who decided.
        income_account_id: the provider's id; None means "as the default row" (on the default row: "hold and ask me").
        tax_code_id: the provider's id; None means "as the default row" (on the default row: no tax code).
        is_default: whether this is the default row's decision.
    """

    mapping_id: str
    version: int
    set_by: str
    income_account_id: str | None
    tax_code_id: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class MappingRules:
    """All decisions of one set of books: the newest version for each service, and the default row's."""

    choices: Mapping[UUID, MappingChoice]
    default: MappingChoice | None

    def choose(self, service_id: UUID) -> MappingChoice | None:
        """Return the decision that holds for a service, what it inherits filled in; None: a person must choose.

        The default row counts only once it names an account; until then it means "hold and ask me". A service without
        an account of its own gets the default row's decision (``is_default``), but keeps a tax code of its own.
        """
        own = self.choices.get(service_id)
        default = self.default if self.default is not None and self.default.income_account_id is not None else None
        if own is not None and own.income_account_id is not None:
            inherited = default.tax_code_id if default is not None else None
            return replace(own, tax_code_id=own.tax_code_id or inherited)
        if default is None:
            return None
        return replace(default, tax_code_id=(own.tax_code_id if own is not None else None) or default.tax_code_id)
