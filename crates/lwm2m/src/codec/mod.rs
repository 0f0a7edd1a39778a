//! Content formats: OMA Core 7.4.
