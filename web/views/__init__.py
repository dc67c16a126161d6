"""View models: what a handler hands to a template. Frozen, plain, and free of queries.

Times are aware datetimes, amounts integer minor units; the templates' filters write both for the reader.
"""

from web.views.accounts import AccountsView, CategoryQuestion, Opening, Setting
from web.views.chart import DayAmounts
from web.views.connections import ChooseCompanyView, ConnectionCard, ConnectionsView, KeyForm
from web.views.doors import Door, ErrorView, SignInView, SignUpView, StepUpView
from web.views.history import AlikeLine, CountLine, DryRunView, HistoryView, Meter, StopLine, TrialLine
from web.views.mapping import Choice, ChoiceGroup, MappingRow, MappingView, RoleField
from web.views.metrics import BarRow, BarTable, FigureTable, FindingLine, MetricsView
from web.views.payment import (
    DocumentRow,
    Fact,
    PaymentView,
    Posting,
    PostingGroup,
    PostingLine,
    Problem,
    TimelineEvent,
)
from web.views.payments import Attention, Chip, Pager, PaymentRow, PaymentsView, Period, Summary
from web.views.payout import CertificateLine, DocumentMark, PayoutView
from web.views.reconciliation import (
    ClearingView,
    MonthView,
    OpenRowView,
    OpenSum,
    OpenView,
    PayoutRowView,
    ProofLine,
    ReconciliationView,
)
from web.views.shell import HealthLine, Link, NavItem, Notice, Place, Shell, Toast, build_nav
from web.views.start import FirstDay, StartView, Step

__all__ = [
    "AccountsView",
    "AlikeLine",
    "Attention",
    "BarRow",
    "BarTable",
    "CategoryQuestion",
    "CertificateLine",
    "Chip",
    "Choice",
    "ChoiceGroup",
    "ChooseCompanyView",
    "ClearingView",
    "ConnectionCard",
    "ConnectionsView",
    "CountLine",
    "DayAmounts",
    "DocumentMark",
    "DocumentRow",
    "Door",
    "DryRunView",
    "ErrorView",
    "Fact",
    "FigureTable",
    "FindingLine",
    "FirstDay",
    "HealthLine",
    "HistoryView",
    "KeyForm",
    "Link",
    "MappingRow",
    "MappingView",
    "Meter",
    "MetricsView",
    "MonthView",
    "NavItem",
    "Notice",
    "OpenRowView",
    "OpenSum",
    "OpenView",
    "Opening",
    "Pager",
    "PaymentRow",
    "PaymentView",
    "PaymentsView",
    "PayoutRowView",
    "PayoutView",
    "Period",
    "Place",
    "Posting",
    "PostingGroup",
    "PostingLine",
    "Problem",
    "ProofLine",
    "ReconciliationView",
    "RoleField",
    "Setting",
    "Shell",
    "SignInView",
    "SignUpView",
    "StartView",
    "Step",
    "StepUpView",
    "StopLine",
    "Summary",
    "TimelineEvent",
    "Toast",
    "TrialLine",
    "build_nav",
]
