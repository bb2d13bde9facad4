# SPDX-License-Identifier: GPL-2.0-only
"""--help, the manual page, README and the completion speak of the same options, and the
completion completes."""

import re
import subprocess

import pytest

from hostlib import ROOT, XENCONSOLED

BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
CHOICES = {"--log": "none guest hv all", "--timestamp": "none guest hv all", "-t": "none guest hv all",
           "--overflow-data": "discard keep", "-o": "discard keep", "--vuart": "auto yes no"}


def helped():
    return subprocess.run([XENCONSOLED, "--help"], text=True, capture_output=True, check=True).stdout


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))


def test_options_are_everywhere():
    known = options(helped())
    assert len(known) > 10
    page = (ROOT / "docs/xenconsoled.8.in").read_text()
    assert {"--" + name for name in re.findall(r"Fl -([a-z-]+)", page)} == known
    completion = (ROOT / "docs/xenconsoled.bash").read_text()
    assert options(completion) == known
    assert known <= options((ROOT / "README").read_text())


def test_help_has_every_default_and_choice():
    said = helped()
    assert max(map(len, said.split("\n"))) <= 100
    for option, choices in CHOICES.items():
        if option.startswith("--"):
            (lines,) = re.findall(rf"{option}=.*\n(?: {{20,}}.*\n)*", said)
            for choice in choices.split():
                assert re.search(rf"\b{choice}\b", lines), f"{option}: {choice}"
            assert "default" in lines, option


def complete(line):
    script = f"""
        . {BASH_COMPLETION} || exit
        . {ROOT}/docs/xenconsoled.bash
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9
        read -ra COMP_WORDS <<<"${{COMP_LINE//=/ = }}"
        [[ $COMP_LINE != *[\\ =] ]] || COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        compopt() {{ :; }}
        _xenconsoled
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True).stdout.split()


@pytest.mark.parametrize("option, choices", CHOICES.items())
def test_completion_of_values(option, choices):
    line = f"xenconsoled {option}" + ("=" if option.startswith("--") else " ")
    assert complete(line) == choices.split()


def test_completion_of_options():
    assert {word.rstrip("=") for word in complete("xenconsoled --")} == options(helped())
    assert complete("xenconsoled --disc") == ["--disconnect"]


@pytest.mark.parametrize("option, choices", CHOICES.items())
def test_choices_are_the_daemons(option, choices):
    """What completion offers is what the daemon names when it is given something else."""
    said = subprocess.run([XENCONSOLED, option, "no such value"], text=True, capture_output=True)
    assert said.returncode == 22
    assert said.stderr.strip().endswith("the choices are " + choices.replace(" ", ", "))
