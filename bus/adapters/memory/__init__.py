"""Every port in memory, for unit tests; the contract suites hold it to the real ones."""
