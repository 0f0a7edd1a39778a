//! The server and the device of the workspace facing each other over a simulated network.

mod harness;
mod lossy;
mod operations;
