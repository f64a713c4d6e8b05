"""CEL engines behind `bus.views.row_filter.FilterCompiler`."""
