//! The order of messages under way.
