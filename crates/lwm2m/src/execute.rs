//! Arguments of Execute: OMA Core 6.3.5.
