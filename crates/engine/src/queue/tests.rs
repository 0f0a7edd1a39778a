//! Tests of the queue of one device.
