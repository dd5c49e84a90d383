//! Registries of the world, as the clients of this machine are configured for them.
