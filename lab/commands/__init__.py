"""The command's groups, one file each; ``lab.cli`` only registers them."""
