"""
The stream processor: source topics to view topics, exactly once (design.md §6).

`router.py` is the loop; `partition_task.py` what happens to the records of one source partition;
`fill.py` gives a new view the present; `loading.py` finds out where a former owner stopped.
"""
