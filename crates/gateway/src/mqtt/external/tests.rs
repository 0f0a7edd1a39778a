//! Behaviour of the configuration; the connection is tested in `tests/mqtt_external.rs`.
