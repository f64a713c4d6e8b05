"""
Benchmarks: what the bus does beside what the machine could do, measured side by side in one run.

    python -m bench                        # everything, about three minutes
    python -m bench --only kernel          # needs neither broker nor database

Contenders take turns, round by round, so that whatever else the machine does hits all of them. What
counts are the ratios; absolute figures are true of one machine and one day. Nothing here is a test.
"""
