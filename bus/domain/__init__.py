"""Pure rules: no I/O, no clock, no logging. Values, checks and transition functions."""
