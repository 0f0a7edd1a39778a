//! Tests of the whole server, driven by datagrams written by hand.

mod arming;
mod auto_observe;
mod commands;
mod counters;
mod ends;
mod formats;
mod garbage;
mod life_cycle;
mod lifetimes;
mod limits;
mod listings;
mod observations;
mod queue_mode;
mod registration;
pub(crate) mod rig;
mod sends;
mod shards;
mod sleepers;
mod updates;
