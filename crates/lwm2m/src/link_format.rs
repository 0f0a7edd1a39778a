//! Link format: RFC 6690, as Register payloads and Discover answers use it.
