"""YAML to a frozen Scenario; distributions of traits.  Sees assets, rules, core.  No kernels."""
