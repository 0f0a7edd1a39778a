//! Listings over all shards: page by page, so that a million devices stall nobody (design,
//! section 9).
//!
//! A shard answers one page of at most 256 rows in a turn, and the next page is asked for when the
//! last one came. What a page looks like as JSON is the job of [`super::client`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use engine::{Cursor, Row};
use tokio::sync::oneshot;

use crate::http::ApiError;
use crate::inbox::{Input, List, Listed};
use crate::shard::Shared;

/// Where a listing goes on: a shard and a place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    shard: u8,
    place: Option<Cursor>,
}

impl Position {
    /// Where a page begins with this row.
    pub(super) const fn at(shard: u8, row: &Row) -> Self {
        Self { shard, place: Some(row.place) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.place.map_or(0, Cursor::number))
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (shard, place) = text.split_once('.').ok_or(())?;
        let place = Some(Cursor::from_number(place.parse().map_err(drop)?));
        Ok(Self { shard: shard.parse().map_err(drop)?, place })
    }
}

/// Which devices are wanted.
pub(super) type Wanted = Arc<dyn Fn(&Row) -> bool + Send + Sync>;

/// A walk from a position to the last shard's end.
pub(super) struct Walk<'a> {
    shared: &'a Shared,
    wanted: Wanted,
    /// Where the next page begins; `None` at the end.
    next: Option<Position>,
    /// Rows looked at so far.
    looked_at: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(shared: &'a Shared, from: Position, wanted: Wanted) -> Self {
        Self { shared, wanted, next: Some(from), looked_at: 0 }
    }

    /// How many devices were looked at.
    pub(super) const fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Where the next page begins; `None` at the end.
    pub(super) const fn position(&self) -> Option<Position> {
        self.next
    }

    /// The next page and its shard; `None` at the end.
    pub(super) async fn page(&mut self) -> Result<Option<(u8, Vec<Row>)>, ApiError> {
        let Some(Position { shard, place }) = self.next else { return Ok(None) };
        let Some(inbox) = self.shared.inboxes.get(usize::from(shard)) else {
            self.next = None;
            return Ok(None);
        };
        let (reply, answer) = oneshot::channel();
        let wanted = Arc::clone(&self.wanted);
        inbox.send(Input::List(Box::new(List { after: place, wanted, reply })));
        let Ok(Listed { rows, looked_at, next }) = answer.await else {
            return Err(ApiError::unavailable("the gateway stops"));
        };
        self.looked_at += looked_at;
        self.next = match next {
            Some(place) => Some(Position { shard, place: Some(place) }),
            None => shard
                .checked_add(1)
                .filter(|shard| usize::from(*shard) < self.shared.inboxes.len())
                .map(|shard| Position { shard, place: None }),
        };
        Ok(Some((shard, rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_and_nothing_else_is_one() {
        for text in ["0.0", "3.4711", "255.4294967295"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        assert_eq!(Position::default().to_string(), "0.0");
        for text in ["", "0", ".", "0.", ".0", "256.0", "0.4294967296", "-1.0", "0.0.0", "a.b"] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text}");
        }
    }
}
