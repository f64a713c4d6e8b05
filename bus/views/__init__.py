"""
The view kernel: compile views to a plan, apply the plan to bytes. Pure: no I/O, no clock.

`plan.compile_plan` and `plan.Plan.apply` are its interface; `kernel` is what runs for each record,
on top of `walker` and `candidates`: these three are compiled where there is a C compiler.
"""
