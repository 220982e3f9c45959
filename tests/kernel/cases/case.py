"""What a scenario is, and how it is registered. In: a function that provokes one thing; out: a `Case` for each IP version wanted."""

from collections import namedtuple

CASES = []

Case = namedtuple("Case", "name run lab seconds round_trip early")
Case.__doc__ = """One run: `lab` are the options of `Lab`; `seconds` how long it takes, roughly; `round_trip` of an endpoint's path in seconds;
`early` whether the function does something before its `yield`, which the captures are not to see."""

# One-way delays in seconds, (client's half, server's half): the tap in the middle, near the client, near the server, all close together.
MIDDLE, NEAR_CLIENT, NEAR_SERVER, CLOSE = (0.005, 0.005), (0.0003, 0.025), (0.02, 0.0005), (0.0004, 0.0004)
FAR, AT_ONCE = (0.12, 0.15), (0.0, 0.0)  # Around the world; as fast as the machine goes.


def case(name, delays=MIDDLE, versions=(4,), seconds=2, round_trip=None, early=False, **lab):
    """Register a function as the maker of `name` (of `name-6` in IPv6); the rest are options of `Lab`."""

    def register(run):
        for version in versions:
            options = {**lab, "delays": delays, "version": version}
            there_and_back = round_trip or (lambda key, once=delays: max(0.0005, 2 * sum(once)))
            CASES.append(Case(name + ("-6" if version == 6 else ""), run, options, seconds, there_and_back, early))
        return run

    return register
