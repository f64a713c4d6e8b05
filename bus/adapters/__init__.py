"""One folder per outside system; driver errors are translated here."""
