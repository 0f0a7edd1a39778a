//! The program: sockets, clocks, threads and the MQTT and HTTP sides around the pure engine.

pub mod mqtt;
pub mod outbox;
