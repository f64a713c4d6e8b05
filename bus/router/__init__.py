"""
The stream processor: source topics to view topics, exactly once (design.md §6).

`router.py` is the loop; `partition_task.py` what happens to the records of one source partition;
`view_writer.py` what they mean for the topics of the views;
`fill.py` gives a new view the present; `loading.py` finds out where a former owner stopped.
`virtual_views.py` gives out views without a topic, by the same tasks.
"""
