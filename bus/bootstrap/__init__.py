"""
The only place that builds things from settings and puts them together.

One module a process, so that none pays for the imports of another. Nothing is connected at import.
"""
