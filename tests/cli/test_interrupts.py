"""What ends a command is an interrupt to it, once; and the process is as before afterwards."""

import os
import signal

import pytest

from jupyter_guardrails.cli import interrupts


@pytest.mark.parametrize("name", interrupts.ENDING)
def test_a_signal_interrupts_and_does_not_while_what_was_begun_is_taken_back(name):
    before, steps = signal.getsignal(name), []

    def work():
        with interrupts.as_keyboard():
            try:
                os.kill(os.getpid(), name)
                steps.append("never reached")
            except KeyboardInterrupt:
                interrupts.ignore()
                os.kill(os.getpid(), name)
                steps.append("taken back")
                raise

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (steps, signal.getsignal(name)) == (["taken back"], before)


def test_what_was_to_be_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.as_keyboard():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
