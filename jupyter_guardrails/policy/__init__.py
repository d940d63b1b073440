"""What the admin wrote -> what it means for one person -> a decision. Pure: no clock, no environment; files only in load.py."""

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Decision, Mode, Obligations, Resource, RuleRef, Value
from jupyter_guardrails.policy.hosts import NetworkEntry
from jupyter_guardrails.policy.limits import BudgetSpec, Profile
from jupyter_guardrails.policy.load import load
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.resolve import effective
from jupyter_guardrails.policy.rowfilter import parse_filter
from jupyter_guardrails.policy.verdict import decide

__all__ = [
    "BudgetSpec",
    "Decision",
    "EffectivePolicy",
    "Mode",
    "NetworkEntry",
    "Obligations",
    "Policy",
    "Profile",
    "Resource",
    "RuleRef",
    "Value",
    "decide",
    "effective",
    "load",
    "parse_filter",
]
