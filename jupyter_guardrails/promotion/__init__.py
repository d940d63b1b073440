"""The worker that turns a notebook into a package."""

from jupyter_guardrails.promotion import late

late.put_off()  # before anything of this room imports nbformat
