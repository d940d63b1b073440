"""The engines that there are, by name."""

from __future__ import annotations

from jupyter_guardrails.engines.airflow import Airflow
from jupyter_guardrails.engines.base import Engine
from jupyter_guardrails.engines.kubernetes import Kubernetes
from jupyter_guardrails.engines.process import Local
from jupyter_guardrails.engines.slurm import Slurm
from jupyter_guardrails.errors import BadRequest

ENGINES: dict[str, type[Engine]] = {"local": Local, "slurm": Slurm, "airflow": Airflow, "kubernetes": Kubernetes}


def engine(name: str) -> Engine:
    """The engine of this name; BadRequest with those that there are."""
    if name not in ENGINES:
        raise BadRequest(f"there is no engine {name[:100]!r}", next_step=f"there are: {', '.join(ENGINES)}")
    return ENGINES[name]()
