"""Which groups of features are the reasons of a row, and which feature speaks for each; compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

HARD, PLAIN, PLAIN_UNLESS_ZERO = 0, 1, 2


@njit(nogil=True, cache=True)
def add_up(groups, wanted, found):  # type: ignore[no-untyped-def]
    """Write the sum of some groups of each row, one by one: its bits don't depend on the number of rows."""
    for row in range(len(groups)):
        total = 0.0
        for group in wanted:
            total += groups[row, group]
        found[row] = total


@njit(nogil=True, cache=True)
def choose(groups, matrix, contributions, members, starts, plain, noise, speakers, values, strengths):  # type: ignore[no-untyped-def]
    """Choose the strongest groups of each row, strongest first, and the feature that speaks for each.

    Groups weaker than `noise` are none; of those that tie, the first is taken. If all of them point one way, the
    strongest of the other way, where there is one, takes the last place, so that both sides are heard.

    Parameters
    ----------
    groups : (n, n_groups) effects
    matrix, contributions : (n, at least n_features) values and effects of the features that they are made of
    members, starts : columns of group g are ``members[starts[g]:starts[g + 1]]``
    plain : of each member whether it reads easily: `HARD`, `PLAIN` or `PLAIN_UNLESS_ZERO`
    speakers : (n, n_reasons) int64, written: columns, −1 where there are no more
    values, strengths : (n, n_reasons), written beside each speaker: its value, and the effect of its group
    """
    n_reasons = speakers.shape[1]
    found = np.empty(n_reasons, dtype=np.int64)
    for row in range(len(groups)):
        effects = groups[row]
        found[:] = -1
        for place in range(n_reasons):
            best = -1
            for group in range(len(effects)):
                strength = abs(effects[group])
                if strength >= noise and (best < 0 or strength > abs(effects[best])):
                    taken = False
                    for earlier in range(place):
                        taken |= found[earlier] == group
                    if not taken:
                        best = group
            if best < 0:
                break
            found[place] = best
        if n_reasons > 1 and found[0] >= 0:
            _hear_the_other_side(effects, noise, found)
        for place in range(n_reasons):
            group = found[place]
            speakers[row, place] = -1
            if group >= 0:
                column = speaker(group, effects[group], matrix[row], contributions[row], members, starts, plain)
                speakers[row, place] = column
                values[row, place], strengths[row, place] = matrix[row, column], effects[group]


@njit(nogil=True, cache=True)
def _hear_the_other_side(effects, noise, found):  # type: ignore[no-untyped-def]
    against = -1
    for group in range(len(effects)):
        other_way = abs(effects[group]) >= noise and (effects[group] > 0) != (effects[found[0]] > 0)
        if other_way and (against < 0 or abs(effects[group]) > abs(effects[against])):
            against = group
    if against >= 0 and not (found == against).any():
        found[-1] = against


@njit(nogil=True, cache=True)
def speaker(group, effect, values, contributions, members, starts, plain):  # type: ignore[no-untyped-def]
    """The column of a group that pulls its way most, a plain one if any does; of those that tie, the first."""
    sign = np.sign(effect)
    best = best_plain = -1
    for place in range(starts[group], starts[group + 1]):
        pull = sign * contributions[members[place]]
        if best < 0 or pull > sign * contributions[members[best]]:
            best = place
        reads_easily = plain[place] == PLAIN or (plain[place] == PLAIN_UNLESS_ZERO and values[members[place]] != 0)
        if reads_easily and pull > 0 and (best_plain < 0 or pull > sign * contributions[members[best_plain]]):
            best_plain = place
    return members[best_plain if best_plain >= 0 else best]
