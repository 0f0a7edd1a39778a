//! Memory of notifications that were dealt with: it serves for the next ones, so that a steady
//! stream of them allocates nothing.

use std::borrow::Cow;

use crate::event::{Event, Notification};

/// Boxes and bodies to be filled again.
#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "the boxes are what is kept")]
pub(crate) struct UsedNotifications(Vec<Box<Notification>>);

/// Notifications that are kept: what a batch of datagrams brings.
const KEPT: usize = 64;

/// The longest body that is kept: what fits a datagram. In all 128 KiB per shard.
const BODY_MAX: usize = 2_048;

impl UsedNotifications {
    pub(crate) fn give(&mut self, event: Event) {
        if let Event::Notified(notification) = event
            && self.0.len() < KEPT
            && notification.body.capacity() <= BODY_MAX
        {
            self.0.push(notification);
        }
    }

    /// What `make` makes of a buffer with the payload in it.
    pub(crate) fn fill(
        &mut self,
        payload: Cow<'_, [u8]>,
        make: impl FnOnce(Vec<u8>) -> Notification,
    ) -> Box<Notification> {
        match (self.0.pop(), payload) {
            (Some(mut used), Cow::Borrowed(payload)) => {
                let mut body = std::mem::take(&mut used.body);
                body.clear();
                body.extend_from_slice(payload);
                *used = make(body);
                used
            }
            (_, payload) => Box::new(make(payload.into_owned())),
        }
    }
}
