# SPDX-License-Identifier: GPL-2.0-only
"""HACKING lists all that the daemon uses of the kernel, and nothing else."""

import re
import subprocess

import pytest

from hostlib import ROOT, XENCONSOLED

# What the program gets from the C library that asks the kernel for nothing, or only for what is in the list by another
# name (fopen opens, malloc maps), and from libxen*.
NO_KERNEL = r"""xs_.*|xc_.*|xenevtchn_.*|xengnttab_.*|xenforeignmemory_.*|_ITM_.*|cxa_finalize|gmon_start__|libc_start_main|
    stack_chk_fail|assert_fail|errno_location|ctype_b_loc|backtrace|mem.*|str.*|.*alloc|free|qsort|v?s?n?printf|
    [df]printf|isoc(99|23)_.*|f?puts|fputc|fopen|fclose|fdopendir|closedir|fgets|fwrite|getenv|setenv|getopt_long|
    localtime_r|sysconf|cfmakeraw|sigaddset|sigemptyset|sigfillset|pthread_(cond|mutex).*|pthread_(self|sigmask|join|detach)|
    _exit|libc_current_sigrtmin|sem_(init|destroy)|eventfd_(read|write)"""
# Families of constants that the kernel gives a meaning to.
CONSTANTS = (r"\b(?:(?:O|EPOLL|EFD|SFD|SOCK|MSG|MAP|MADV|AT|F|LOCK|RLIMIT|CLOCK|FALLOC|MFD|RENAME|GRND|PR)_[A-Z_]+"
             r"|EPOLL[A-Z]+|POLL[A-Z]+|TIOC[A-Z]+|FION[A-Z]+|EXTPROC)\b")
# Members of these families that are the C library's, kinds of what is listed, or bare answers.
NOT_ASKED_FOR = set("MAP_FAILED F_WRLCK EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD POLLIN POLLOUT".split())


def listed():
    """The list's words, remarks left out: functions and constants."""
    (rows,) = re.findall(r"^    SINCE   WHAT\n((?:    .*\n)+)", (ROOT / "HACKING").read_text(), re.M)
    return set(re.findall(r"\b[A-Za-z_]\w+", re.sub(r"\(.*\)", "", rows)))


def symbols():
    out = subprocess.run(["nm", "-D", "-u", "--without-symbol-versions", XENCONSOLED], text=True, check=True,
                         stdout=subprocess.PIPE).stdout
    return {re.sub(r"^__(.*?)(_chk)?$", r"\1", name) for name in re.findall(r"(?<= )\w+$", out, re.M)}


def constants():
    text = "".join(path.read_text() for path in (ROOT / "tools/console/daemon").rglob("*.[ch]"))
    return set(re.findall(CONSTANTS, text)) - set(re.findall(r"#define (\w+)", text)) - NOT_ASKED_FOR


@pytest.mark.cost  # a sanitizer has symbols of its own
def test_every_function_is_listed():
    asking = {name for name in symbols() if not re.fullmatch(re.sub(r"\s", "", NO_KERNEL), name)}
    missing = asking - listed()
    assert not missing


def test_every_constant_is_listed():
    missing = constants() - listed()
    assert not missing


@pytest.mark.cost  # a sanitizer has symbols of its own
def test_all_that_is_listed_is_used():
    unused = listed() - symbols() - constants()
    assert not unused
