//! TLV, the binary format of LwM2M 1.0: OMA Core 7.4.3.
//!
//! A payload is a row of records; those of object instances and multiple resources hold records
//! themselves. Nothing says at which level the outermost records are: the path of the request and
//! what devices really send decide that, see [`decode()`].

mod decode;
mod encode;
mod record;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::encode;
pub use record::{Kind, Record, Records};
