"""One process and what it cost. In: a command line. Out: its CPU, wall time and peak memory."""

import dataclasses
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

PEAK = re.compile(r"VmHWM:\s*(\d+) kB")


@dataclasses.dataclass
class Ran:
    """What a run cost."""

    cpu: float
    wall: float
    # Kilobytes.
    peak: int
    # Why it is not to be believed; empty if it went well.
    trouble: str


class Watch(threading.Thread):
    """Looks at a process's peak memory until it ends. The kernel's own record of it begins with what the caller had in memory."""

    def __init__(self, pid):
        """Begins at once."""
        super().__init__(daemon=True)
        self.status, self.peak, self.over = pathlib.Path(f"/proc/{pid}/status"), 0, threading.Event()
        self.start()

    def run(self):
        """A hundred times a second: 0.3 % of a core."""
        while not self.over.wait(0.01):
            try:
                found = PEAK.search(self.status.read_text())
            except OSError:
                return
            self.peak = int(found[1]) if found else self.peak


def run(command, scratch, timeout, source=None):
    """Runs `command` with what it prints thrown away; {out} in it becomes a fresh folder. `source` is a command whose output it reads."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    words = [str(word).replace("{out}", str(out)) for word in command]
    said = scratch / "said"
    feeder = None
    with open(said, "wb") as errors:
        if source:
            feeder = subprocess.Popen([str(word) for word in source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        start = time.perf_counter()
        process = subprocess.Popen(words, stdin=feeder.stdout if feeder else subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        if feeder:
            feeder.stdout.close()
        clock = threading.Timer(timeout, os.kill, (process.pid, signal.SIGKILL))
        clock.start()
        watch = Watch(process.pid)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            clock.cancel()
            watch.over.set()
            if feeder:
                feeder.kill()
                feeder.wait()
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(out, ignore_errors=True)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = usage.ru_maxrss if usage.ru_maxrss > own * 1.02 else watch.peak
    return Ran(usage.ru_utime + usage.ru_stime, wall, peak, trouble(process.returncode, wall, timeout, said))


def trouble(code, wall, timeout, said):
    """Why a run did not end well, with the last thing it said."""
    if code == 0:
        return ""
    if wall >= timeout:
        return f"gave up after {timeout} s"
    last = pathlib.Path(said).read_text(errors="replace").strip().splitlines()[-1:]
    how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    return ": ".join([how, *last])
