"""
The view kernel: compile views to a plan, apply the plan to bytes. Pure: no I/O, no clock.

`plan.compile_plan` and `plan.Plan.apply` are its interface; `schema_tree`, `walker` and
`filter_values` are how it works inside.
"""
