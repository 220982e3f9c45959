"""What the bundled captures show, seen from three places, in both IP versions and over other paths. In: their makers; out: cases."""

import scenarios

from cases.case import CLOSE, MIDDLE, NEAR_CLIENT, NEAR_SERVER, case

# Their rules and their settings are kept; the path is another one where the case does not hang on it.
_PATHS = {
    "close-by-client": (NEAR_CLIENT, (4, 6)),
    "close-by-server": (NEAR_SERVER, (4, 6)),
    "lost-syn": (MIDDLE, (6,)),
    "lost-syn-ack": (NEAR_SERVER, (4,)),
    "lost-fin": (CLOSE, (4, 6)),
    "lost-fin-with-data": (NEAR_CLIENT, (4,)),
    "lost-last-ack": (NEAR_SERVER, (4, 6)),
    "lost-last-ack-thrice": (MIDDLE, (6,)),
    "ack-of-fin-unseen": (NEAR_CLIENT, (4,)),
    "simultaneous-close": (None, (4, 6)),
    "half-close": (NEAR_CLIENT, (6,)),
    "refused": (NEAR_SERVER, (4, 6)),
    "no-answer": (MIDDLE, (4,)),
    "unreachable": (MIDDLE, (4,)),
    "abort-in-handshake": (None, (4, 6)),
    "reset-by-client": (NEAR_CLIENT, (4, 6)),
    "reset-unread-data": (NEAR_SERVER, (6,)),
    "slow-close-wait": (NEAR_CLIENT, (4,)),
    "fin-wait-2-timeout": (NEAR_SERVER, (4,)),
    "fin-before-data": (None, (4, 6)),
    "time-wait-killed": (MIDDLE, (4, 6)),
    "reuse-time-wait": (NEAR_CLIENT, (4, 6)),
    "simultaneous-open": (None, (4, 6)),
    "reuse-by-holder": (NEAR_SERVER, (4,)),
    "midstream": (NEAR_SERVER, (4,)),
    "accept-queue-full": (None, (4, 6)),
}

for _one in scenarios.SCENARIOS:
    if _one.name in _PATHS:
        _delays, _versions = _PATHS[_one.name]
        _lab = dict(_one.lab)
        _own = _lab.pop("delays", MIDDLE)
        case(_one.name, _delays or _own, _versions, _one.seconds, early=_one.name == "midstream", **_lab)(_one.run)
