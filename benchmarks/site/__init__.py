"""What the site's service gives and takes, beside nginx. See benchmarks/README.md."""
