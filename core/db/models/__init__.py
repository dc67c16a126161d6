"""Tables, one module per aggregate. Importing this package registers all of them."""

from core.db.models.catalogue import AccountRole, MappingVersion, RoleVersion, Service, ServiceSource
from core.db.models.connections import (
    BooksAccount,
    BooksLink,
    BooksTaxCode,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    Lane,
)
from core.db.models.identity import (
    FailedSignIn,
    KnownDevice,
    Membership,
    OAuthState,
    Role,
    Tenant,
    User,
    UserSession,
)
from core.db.models.inbox import EventState, StripeEvent
from core.db.models.payments import BalanceTransaction, Customer, Payment, PaymentLine, PaymentState
from core.db.models.sync import (
    Attempt,
    AttemptOutcome,
    BooksDocument,
    DocumentState,
    ItemKind,
    ItemState,
    Operation,
    OperationState,
    SyncItem,
)

__all__ = [
    "AccountRole",
    "Attempt",
    "AttemptOutcome",
    "BalanceTransaction",
    "BooksAccount",
    "BooksDocument",
    "BooksLink",
    "BooksTaxCode",
    "Connection",
    "ConnectionMode",
    "ConnectionStatus",
    "Customer",
    "DocumentState",
    "EventState",
    "FailedSignIn",
    "ItemKind",
    "ItemState",
    "KnownDevice",
    "Lane",
    "MappingVersion",
    "Membership",
    "OAuthState",
    "Operation",
    "OperationState",
    "Payment",
    "PaymentLine",
    "PaymentState",
    "Role",
    "RoleVersion",
    "Service",
    "ServiceSource",
    "StripeEvent",
    "SyncItem",
    "Tenant",
    "User",
    "UserSession",
]
