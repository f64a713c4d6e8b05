"""The exchange bus: domain rules, the view kernel, the router and the control plane."""
