//! Registries of this test: an index of Python, a registry of npm.
