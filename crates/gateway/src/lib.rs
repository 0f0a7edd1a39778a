//! The program: sockets, clocks, threads and the MQTT and HTTP sides around the pure engine.

pub mod cli;
pub mod config;
pub mod data_dir;
pub mod http;
pub mod mqtt;
pub mod outbox;
pub mod settings;
pub mod telemetry;
