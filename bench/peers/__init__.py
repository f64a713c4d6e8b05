"""
What others would do the router's work with: Kafka Streams, Quix Streams, Faust.

Each is a program of its own, with an environment of its own: none becomes a dependency of the bus.
A program reads a job from its standard input, as JSON in one line, and answers with the seconds.
"""
