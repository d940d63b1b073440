"""When deployments run: a timer of the account's systemd, else a line of its crontab. Nothing of ours runs meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import BadRequest, GuardrailsError
from jupyter_guardrails.package.details import CRON_FIELDS, schedule_values

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = "five cron fields of numbers: '0 6 * * 1-5' is at six on workdays"


def install(place: Place, schedule: str) -> None:
    """Start the deployment's runs at these times; GuardrailsError when this account has neither systemd nor crontab."""
    values_of(schedule)
    if has_user_systemd():
        _install_timer(place, schedule)
    elif shutil.which("crontab"):
        _write_crontab([*_without(place), f"{schedule} {' '.join(map(_cron_word, command(place)))} # {_mark(place)}"])
    else:
        raise GuardrailsError(
            "this account has no systemd of its own, and there is no crontab: nothing here can start the job at these times",
            next_step="let an admin run `loginctl enable-linger` for this account, or install cron; without --schedule it is started by hand",
        )


def remove(place: Place) -> None:
    """Nothing starts it any more."""
    if shutil.which("crontab") and any(_mark(place) in line for line in _crontab()):
        _write_crontab(_without(place))
    if any(unit.exists() for unit in _units(place)):
        subprocess.run(["systemctl", "--user", "disable", "--now", f"{_mark(place)}.timer"], capture_output=True, check=False)
        for unit in _units(place):
            unit.unlink(missing_ok=True)
        subprocess.run(["systemctl", "--user", "daemon-reload"], capture_output=True, check=False)


def values_of(schedule: str) -> list[list[int]]:
    """The five fields as the numbers that they mean, ascending; BadRequest for what is no schedule."""
    try:
        values = schedule_values(schedule)
    except ValueError as error:
        raise BadRequest(str(error), next_step=EXAMPLE) from error
    if not values:
        raise BadRequest("a schedule has five fields, and this one has none", next_step=EXAMPLE)
    return values


def calendars(schedule: str) -> list[str]:
    """The schedule as systemd's OnCalendar lines. Where days of month and of week are both named, cron means either: two lines."""
    fields = values_of(schedule)
    minutes, hours, days, months = (_list(values, n) for n, values in enumerate(fields[:4]))
    weekdays = ",".join(dict.fromkeys(DAYS[day] for day in fields[4]))
    of_month, of_week = schedule.split(" ")[2], schedule.split(" ")[4]
    clock = f"{hours}:{minutes}:00"
    if of_week == "*":
        return [f"*-{months}-{days} {clock}"]
    if of_month.startswith("*") or of_week.startswith("*"):
        return [f"{weekdays} *-{months}-{days} {clock}"]
    return [f"*-{months}-{days} {clock}", f"{weekdays} *-{months}-* {clock}"]


def _list(values: list[int], field: int) -> str:
    _, lowest, highest = CRON_FIELDS[field]
    return "*" if values == list(range(lowest, highest + 1)) else ",".join(f"{value:02d}" for value in values)


def command(place: Place) -> list[str]:
    """What a timer or cron runs: one run, told to the control of this account, as by hand."""
    return [sys.executable, "-I", "-m", "jupyter_guardrails", "job", "start", place.id, "--deployments", str(place.folder.parent), "--scheduled"]


def has_user_systemd() -> bool:
    """Whether this account has a systemd of its own that answers."""
    if shutil.which("systemctl") is None:
        return False
    asked = subprocess.run(["systemctl", "--user", "show", "--property=Version"], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.startswith("Version=")


def _install_timer(place: Place, schedule: str) -> None:
    service, timer = _units(place)
    service.parent.mkdir(parents=True, exist_ok=True)
    argv = " ".join(_systemd_word(word) for word in command(place))
    service.write_text(f"[Unit]\nDescription=Governed job {place.id}\n[Service]\nType=oneshot\nExecStart={argv}\n")
    times = "".join(f"OnCalendar={line}\n" for line in calendars(schedule))
    timer.write_text(f"[Unit]\nDescription=Governed job {place.id}\n[Timer]\n{times}Persistent=true\n[Install]\nWantedBy=timers.target\n")
    for words in (["daemon-reload"], ["enable", "--now", timer.name]):
        done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise GuardrailsError(f"systemd did not take the timer: {done.stderr.strip()[-500:]}", next_step="see `systemctl --user status`")


def _units(place: Place) -> tuple[Path, Path]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    return home / f"{_mark(place)}.service", home / f"{_mark(place)}.timer"


def _mark(place: Place) -> str:
    return f"guardrails-{place.id}"


def _systemd_word(word: str) -> str:
    """Quoted for ExecStart, where `%` and `$` mean something."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _cron_word(word: str) -> str:
    """Quoted for a line of crontab, where an unescaped `%` is a new line."""
    return shlex.quote(word).replace("%", r"\%")


def _without(place: Place) -> list[str]:
    return [line for line in _crontab() if not line.endswith(f"# {_mark(place)}")]


def _crontab() -> list[str]:
    asked = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    if asked.returncode and "no crontab" not in asked.stderr:
        raise GuardrailsError(f"the crontab can't be read: {asked.stderr.strip()[-300:]}", next_step="may this account use cron?")
    return asked.stdout.splitlines() if asked.returncode == 0 else []


def _write_crontab(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["crontab", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuardrailsError(f"the crontab can't be written: {done.stderr.strip()[-300:]}", next_step="may this account use cron?")
