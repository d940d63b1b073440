"""`jupyter guardrails exec` on a terminal: a person's keys do what they do without it."""

import signal
import subprocess
from contextlib import suppress

import pytest
from exec_bench import EXEC, Bench, Shell

PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
SLEEPER = "sh -c 'echo up=$((40+2)); exec sleep 600'"


@pytest.fixture
def shell(tmp_path):
    started = Shell(Bench(tmp_path))
    yield started
    started.close()


@pytest.mark.slow
def test_ctrl_c_interrupts_the_command_and_the_shell_has_its_terminal_back(shell):
    shell.line(f"$G {SLEEPER}")
    shell.until("up=42")
    shell.type("\x03")
    shell.line("echo code=$?.")
    said = shell.until("code=130.")
    assert "Traceback" not in said
    assert "ERROR" not in said
    shell.line("sh -c 'echo up=$((40+3)); exec sleep 600'")  # what the shell starts next is in the foreground as ever
    shell.until("up=43")
    shell.type("\x03")
    shell.line("echo code=$?.")
    shell.until("code=130.")


@pytest.mark.slow
def test_an_interrupt_whenever_it_comes_ends_only_what_minds_it(tmp_path):
    """What follows the command must not end, and let go of its lease and its terminal, before the command does."""
    bench = Bench(tmp_path)
    command = [*EXEC, "sh", "-c", "sleep 1; echo up; read line; exit 7"]
    with subprocess.Popen(command, env=bench.environment, cwd=bench.work, **PIPES) as process:
        assert process.stdout.readline() == b"up\n"
        for number in range(400):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(number % 20 * 0.0005)  # each look begins with an interrupt that came while nothing was looked at: not in step with them
        assert process.communicate(b"\n") == (b"", b"")
    assert process.returncode == 7


@pytest.mark.slow
def test_a_shell_in_it_has_job_control(shell):
    shell.line("$G bash --norc --noprofile -i")
    assert "no job control" not in shell.until("bash-")  # its prompt: what is typed before a shell reads may be for the other one
    shell.line(SLEEPER)
    shell.until("up=42")
    shell.type("\x1a")
    shell.until("Stopped")
    shell.line("kill -9 %1; wait -f %1; echo inside=$((6*7))")
    shell.until("inside=42")
    shell.line("exit 7")
    shell.line("echo code=$?.")
    shell.until("code=7.")


@pytest.mark.slow
def test_ctrl_z_does_not_leave_a_dead_terminal(shell):
    """No shell outside of its process namespace sees that it has stopped, so that nobody could continue it."""
    shell.line(f"$G {SLEEPER}")
    shell.until("up=42")
    shell.type("\x1a")
    shell.until("can't be suspended")
    shell.type("\x03")
    shell.line("echo code=$?.")
    shell.until("code=130.")


@pytest.mark.slow
def test_a_command_in_the_background_leaves_the_terminal_to_the_shell(shell):
    shell.line("$G sh -c 'echo up=$((40+2)); read line; echo never' </dev/tty &")
    shell.until("up=42")
    shell.line("echo mine=$((4*4))")
    shell.until("mine=16")
    shell.line("kill %1; wait %1; echo code=$?.")
    shell.until("code=143.")


@pytest.mark.slow
def test_a_pipe_gets_what_it_prints(shell):
    shell.line("$G sh -c 'echo up; exit 3' | tr a-z A-Z; echo code=${PIPESTATUS[0]}.")
    assert "UP" in shell.until("code=3.")
