"""Many scenarios at a time. In: a list of works; out: the same works done, each in a fresh process so that nothing of one can reach the next."""

import multiprocessing
import multiprocessing.connection
import signal

import lab

_CONTEXT = multiprocessing.get_context("spawn")


def run(works, jobs, work, done):
    """Do `work(*arguments)` for each (name, seconds, arguments), the longest first, `jobs` at a time.

    Calls `done(name, well, said)` as each ends: `said` is what `work` returned, or why it failed. `KeyboardInterrupt` ends them all.
    """
    waiting = sorted(works, key=lambda one: one[1])
    running = {}  # the end of a worker's pipe -> (its name, its process)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, _, arguments = waiting.pop()
                ours, theirs = _CONTEXT.Pipe(duplex=False)
                running[ours] = name, _CONTEXT.Process(target=_do, args=(work, arguments, theirs))
                running[ours][1].start()
                theirs.close()
            for pipe in multiprocessing.connection.wait(running):
                name, process = running.pop(pipe)
                try:
                    well, said = pipe.recv()
                except EOFError:
                    well, said = False, "the process ended without a word"
                process.join()
                done(name, well, said)
    except KeyboardInterrupt:
        for _, process in running.values():
            process.kill()  # Its tcpdump and its namespaces go with it.
            process.join()
        raise


def _interrupt(*_):
    """The first interrupt ends the run; another must not interrupt the tidying up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _do(work, arguments, pipe):
    """Do one work in this process; sends (done, what there is to say) into the pipe."""
    lab.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides what an interrupt ends.
    try:
        pipe.send((True, work(*arguments)))
    except (OSError, lab.LabError) as error:
        pipe.send((False, f"{type(error).__name__}: {error}"))
