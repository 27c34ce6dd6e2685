"""Measure how time and memory of a stage grow with the number of photographs and of workers; used by suite.py.

Linear time and constant memory give ratios of 1. The start-up cost is measured with four photographs and subtracted.
Growth is measured in CPU time on all cores, the gain from workers in wall time.
"""

from statistics import median

import record

from eyenet.run.workers import cores

FEW, TIMES = 4, (1, 2, 4, 8)  # photographs for measuring the start-up cost; multiples of the unit


def ratios(stage, unit, run, repeat, quick=False):
    """Yield the ratios of a stage.

    Parameters
    ----------
    stage : str
    unit : int
        Number of photographs that counts as 1 x.
    run : callable
        Called with a number of photographs and of workers; runs the stage and returns `record.Spent`.
    repeat : int
        Repetitions; medians are reported.
    quick : bool
        Measure only 1 x and 8 x, and skip the workers.
    """
    times, rounds = TIMES[:: len(TIMES) - 1] if quick else TIMES, []
    for _ in range(repeat):
        spent = {count: run(count, cores()) for count in (FEW, *(n * unit for n in times))}
        if not quick and cores() > 1:
            spent |= {"start": run(FEW, 1), "one": run(8 * unit, 1)}
        rounds.append(spent)

    def over_rounds(function):
        return median(function(spent) for spent in rounds)

    def each(spent, n):
        return (spent[n * unit].cpu - spent[FEW].cpu) / (n * unit - FEW)

    for n in times[1:]:
        time = over_rounds(lambda spent, n=n: each(spent, n) / each(spent, 1))
        memory = over_rounds(lambda spent, n=n: spent[n * unit].memory / spent[unit].memory)
        yield record.Ratio(f"{stage}: CPU a photograph, {n} x the photographs / 1 x", time, "less")
        yield record.Ratio(f"{stage}: peak memory, {n} x the photographs / 1 x", memory, "less")
    if "one" in rounds[0]:
        gain = over_rounds(lambda s: (s["one"].wall - s["start"].wall) / (s[8 * unit].wall - s[FEW].wall))
        yield record.Ratio(f"{stage}: rate with {cores()} workers / with 1", gain, "more")
    elif not quick:
        record.left_out(f"{stage}, workers", "there is one core")
