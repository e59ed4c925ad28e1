#!/usr/bin/env python3
"""Runs a command and prints "WALL CPU PEAK": seconds, seconds of processor, MiB of memory at most.

    measure.py [PID...] -- COMMAND...

CPU and peak are those of the command and of the daemons PID (with their children that have ended) together; the peaks are
added, though they need not be at the same time. Exits with the command's status.
"""
import os
import resource
import subprocess
import sys
import time

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """Of a process and its waited-for children (proc(5), stat)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def peak(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


split = sys.argv.index("--")
pids = [int(pid) for pid in sys.argv[1:split]]
for pid in pids:
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
before = [cpu(pid) for pid in pids]
start = time.monotonic()
status = subprocess.run(sys.argv[split + 1:], stdout=subprocess.DEVNULL).returncode
wall = time.monotonic() - start
own = resource.getrusage(resource.RUSAGE_CHILDREN)
used = own.ru_utime + own.ru_stime + sum(cpu(pid) - old for pid, old in zip(pids, before))
print(f"{wall:.3f} {used:.3f} {own.ru_maxrss / 1024 + sum(peak(pid) for pid in pids):.1f}")
sys.exit(status)
