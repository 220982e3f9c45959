"""The goals and what was measured of them. In: the cheapest runs. Out: a table."""

import programs
import text


class Figures:
    """Measured figures of every finwait, in the order of the goals."""

    def __init__(self, names):
        """`names` of the programs that are compared."""
        self.names = names
        self.found = {}

    def put(self, goal, name, case, value, beside=None):
        """Keeps one figure of one program, and in brackets the one `beside` it; `None` is not kept."""
        if value is not None:
            more = "" if beside is None else f" ({beside:.2f})"
            self.found.setdefault((goal, name), []).append(f"{case}{' ' if case else ''}{value:.2f}{more}")

    def put_cpu(self, goal, name, case, best, work, floor):
        """Keeps the CPU of a work against the floor's: with one thread, as the floor has, and in brackets with as many as finwait takes."""
        one, all_ = best[f"{name}, {work}, 1 thread"], best[f"{name}, {work}"]
        self.put(goal, name, case, ratio(one, floor), ratio(all_, floor))

    def profile(self, profile, best, floor):
        """The figures that one profile yields."""
        for name in self.names:
            if profile in ("short", "mix"):
                self.put_cpu("none", name, profile, best, "no rows", floor)
                self.put_cpu("four", name, profile, best, "CSV of four tables", floor)
                self.put_cpu("all", name, profile, best, "CSV of all tables", floor)
                one, two = best[f"{name}, no rows, 1 thread"], best[f"{name}, no rows, 2 threads"]
                self.put("threads", name, profile, one.wall / two.wall if not one.trouble and not two.trouble else None)
            if profile == "bulk":
                self.put_cpu("bulk", name, "", best, "no rows", floor)
            if profile == "flood":
                self.put_cpu("flood", name, "", best, "CSV of four tables", floor)

    def others(self, best):
        """How much more CPU the other tools took for the same capture."""
        for name in self.names:
            own, one = best[f"{name}, CSV of connections"], best[f"{name}, CSV of connections, 1 thread"]
            for other in programs.OTHERS:
                if other in best:
                    self.put(other, name, "", ratio(best[other], one), ratio(best[other], own))

    def memory(self, name, few, many):
        """Peak memory of the longer capture against the shorter."""
        if not few.trouble and not many.trouble and few.peak:
            self.put("memory", name, "", many.peak / few.peak)

    def live(self, few, many):
        """CPU for the same number of packets."""
        for name in self.names:
            work = f"{name}, no rows"
            self.put("live", name, "", ratio(many[work], few[work]))

    def table(self):
        """Every goal; where nothing was measured, a dash."""
        goals = [
            ("none", "no rows, short and mix, CPU of one thread (by default) to the floor's", "2.0", "1.0"),
            ("four", "CSV of connections, fin_retransmissions, time_wait, listeners, the same", "2.5", "1.3"),
            ("all", "CSV of every table, the same", "6", "3"),
            ("bulk", "bulk, no rows, the same", "1.5", "1.1"),
            ("flood", "SYN flood with a row each, the same", "5", "3"),
            ("tcptrace -l -n", "CPU of tcptrace -l -n to that of the connections' CSV", "20", "50"),
            ("tshark -q -z conv,tcp", "CPU of tshark -q -z conv,tcp to the same", "40", "100"),
            ("tshark -T fields -e tcp.analysis.initial_rtt", "CPU of tshark -e tcp.analysis.initial_rtt to the same", "150", "400"),
            ("memory", "peak memory with 16 times the packets, same live flows", "1.1", "1.0"),
            ("live", "CPU a packet, a million live flows to a thousand", "3", "2"),
            ("threads", "speed of two threads to one, no rows", "1.3", "1.7"),
        ]
        rows = [(words, must, aim, *(", ".join(self.found.get((goal, name), ["-"])) for name in self.names)) for goal, words, must, aim in goals]
        return text.plain(["work", "must", "aim", *self.names], rows)


def ratio(of, to):
    """CPU against CPU, if both are known."""
    return of.cpu / to.cpu if not of.trouble and not to.trouble and to.cpu > 0 else None
