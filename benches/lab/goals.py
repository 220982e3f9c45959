"""The goals and what was measured of them. In: the cheapest runs. Out: a table."""

import programs
import text


class Figures:
    """Measured figures of every finwait, in the order of the goals."""

    def __init__(self, names):
        """`names` of the programs that are compared."""
        self.names = names
        self.found = {}

    def put(self, goal, name, case, value, unit=""):
        """Keeps one figure of one program; `None` is not kept."""
        if value is not None:
            self.found.setdefault((goal, name), []).append(f"{case}{' ' if case else ''}{value:.2f}{unit}")

    def profile(self, profile, best, floor):
        """The figures that one profile yields."""
        for name in self.names:
            none, four, all_ = (best[f"{name}, {work}"] for work in ("no rows", "CSV of four tables", "CSV of all tables"))
            if profile in ("short", "mix"):
                self.put("none", name, profile, ratio(none, floor))
                self.put("four", name, profile, ratio(four, floor))
                self.put("all", name, profile, ratio(all_, floor))
                one, two = best[f"{name}, no rows, 1 thread"], best[f"{name}, no rows, 2 threads"]
                self.put("threads", name, profile, one.wall / two.wall if not one.trouble and not two.trouble else None)
            if profile == "bulk":
                self.put("bulk", name, "", ratio(none, floor))
            if profile == "flood":
                self.put("flood", name, "", ratio(four, floor))

    def others(self, best):
        """How much more CPU the other tools took for the same capture."""
        for name in self.names:
            own = best[f"{name}, CSV of connections"]
            for other in programs.OTHERS:
                if other in best:
                    self.put(other, name, "", ratio(best[other], own))

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
            ("none", "no rows, short and mix, CPU to the floor's", "2.0", "1.0"),
            ("four", "CSV of connections, fin_retransmissions, time_wait, listeners", "2.5", "1.3"),
            ("all", "CSV of every table", "6", "3"),
            ("bulk", "bulk, no rows, CPU to the floor's", "1.5", "1.1"),
            ("flood", "SYN flood with a row each, CPU to the floor's", "5", "3"),
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
