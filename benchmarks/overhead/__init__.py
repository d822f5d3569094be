"""What the lab costs on top of a bare script that does the same work. See benchmarks/README.md."""
