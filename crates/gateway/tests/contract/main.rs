//! The contract with EMQX's LwM2M gateway, rule by rule: devices on real UDP, an application on the
//! embedded broker, in both profiles.
//!
//! Each table has one row per rule, named after what it checks. JSON is compared as a whole, with
//! `22` and `22.0` told apart; requests to devices are compared with every option and byte. What
//! the crates do in detail is tested beside their code.

#![cfg(feature = "embedded-broker")]

#[path = "../common/mqtt.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod mqtt;

#[path = "../common/recording_proxy.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod recording_proxy;

#[path = "../common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

/// A test per profile for a function that takes one.
macro_rules! in_both_profiles {
    ($($table:ident),* $(,)?) => { $(
        mod $table {
            #[test]
            fn emqx4() {
                super::$table(gateway::config::Profile::Emqx4);
            }

            #[test]
            fn emqx5() {
                super::$table(gateway::config::Profile::Emqx5);
            }
        }
    )* };
}

mod bench;
mod coap;

mod answers;
mod auto_observe;
mod bad_input;
mod commands;
mod content;
mod definitions;
mod device_topics;
mod exchanges;
mod formats;
mod http;
mod imported;
mod lifecycle;
mod limits;
mod northbound;
mod notifications;
mod queue_mode;
mod rearm;
mod refusals;
mod registration;
mod registration_life;
mod rest;
mod rest_access;
mod rest_config;
mod rest_document;
mod rest_lookup;
mod rest_page;
mod retained;
mod settings;
