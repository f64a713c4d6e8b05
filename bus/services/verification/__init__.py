"""
Recompute what a view must be, by other means than the router's, and compare (invariant 1).

Nothing here shares code with `bus/views` or `bus/router`: records are read by fastavro, row filters
evaluated by cel-python, and the judgement of what is well formed is "encodes back to itself".
"""
