"""How fast the engine's parts are: a module each, with ``measure()``, which gives (what, number) pairs."""
