//! Opening the sockets of a listener: one for each shard.

use udpio::{Probe, Socket, SocketOptions};

use super::ListenerError;
use crate::config::Listener;

/// What the settings of a listener say about its sockets.
#[must_use]
pub fn socket_options(settings: &Listener) -> SocketOptions {
    let size = |size: usize| (size > 0).then_some(size);
    SocketOptions {
        recv_buffer: size(settings.recv_buffer.get()),
        send_buffer: size(settings.send_buffer.get()),
        reuse_address: settings.reuse_address,
        ..SocketOptions::default()
    }
}

/// Opens a socket for each shard.
///
/// # Errors
/// [`ListenerError`] names the listener and the setting; no socket is open then.
pub fn open(
    name: &str,
    settings: &Listener,
    shards: usize,
    probe: Probe,
) -> Result<Vec<Socket>, ListenerError> {
    udpio::bind_group(settings.bind, shards, &socket_options(settings), probe)
        .map_err(|error| ListenerError { name: name.to_owned(), error })
}
