"""What everyone but control itself may import of control: typed requests, the client, settings, and starting one's own."""

from jupyter_guardrails.control.interface import auditing, decisions, grants, oversight, stops
from jupyter_guardrails.control.interface import changes as changes  # its requests are known from here on
from jupyter_guardrails.control.interface import deployments as deployments  # its requests are known from here on
from jupyter_guardrails.control.interface import lifecycle as lifecycle  # likewise
from jupyter_guardrails.control.interface import package_requests as package_requests  # likewise
from jupyter_guardrails.control.interface import publishing as publishing  # likewise
from jupyter_guardrails.control.interface import quality as quality  # likewise
from jupyter_guardrails.control.interface import work as work  # its requests are known from here on
from jupyter_guardrails.control.interface.backup import RecordsBackup
from jupyter_guardrails.control.interface.client import ControlClient, receive_frame, send_frame
from jupyter_guardrails.control.interface.messages import *  # noqa: F403
from jupyter_guardrails.control.interface.messages import REQUESTS, Admission
from jupyter_guardrails.control.interface.notices import *  # noqa: F403
from jupyter_guardrails.control.interface.own import OwnControl, connect, start_own_control
from jupyter_guardrails.control.interface.settings import Settings, find_settings
from jupyter_guardrails.control.interface.usage import KernelHistory, Usage

__all__ = [
    "REQUESTS",
    "Admission",
    "ControlClient",
    "KernelHistory",
    "OwnControl",
    "RecordsBackup",
    "Settings",
    "Usage",
    "auditing",
    "connect",
    "decisions",
    "find_settings",
    "grants",
    "oversight",
    "receive_frame",
    "send_frame",
    "start_own_control",
    "stops",
]
