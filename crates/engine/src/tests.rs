//! Tests of the whole server, driven by datagrams.
