//! The program: sockets, clocks, threads and the MQTT and HTTP sides around the pure engine.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod ctl;
pub mod data_dir;
pub mod device_topics;
pub mod directory;
pub mod downlink;
pub mod filters;
pub mod http;
pub mod import;
pub mod inbox;
pub mod listeners;
pub mod mqtt;
pub mod objects;
pub mod outbox;
pub mod pump;
pub mod rest;
pub mod results;
pub mod retained;
pub mod service;
pub mod settings;
pub mod shard;
pub mod telemetry;
