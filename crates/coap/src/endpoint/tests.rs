//! The endpoint as its peers see it. `script` plays one peer by hand, `pair` runs two endpoints
//! over a link that loses, repeats and reorders.

mod asking;
mod blocks;
mod bodies;
mod counters;
mod fetching;
mod growth;
mod malformed;
mod observing;
mod pair;
mod requests;
mod script;
mod unproven;
mod vectors;
