//! The rest of notifications that come in blocks: RFC 7959 2.6.
//!
//! A notification is handed up, and so completed, when its rest was fetched; until then a
//! repetition of its first block is swallowed, and if the fetch fails it counts as never seen.

use alloc::boxed::Box;

use super::Endpoint;
use crate::block::BlockOption;
use crate::body::{Fetched, Fetching};
use crate::exchange::{Ask, Exchange, Fetch, Purpose, Role};
use crate::observe::{Observation, Seen};
use crate::{Event, Incoming, NoteKind, ObservationId, RequestOptions, Token};

impl Endpoint {
    /// Asks for the rest of a notification: a plain GET for the next block, at once, since the
    /// device may fall asleep (RFC 7959 2.6).
    pub(super) fn begin_fetch(&mut self, fetch: Fetch, block: BlockOption, message: &Incoming<'_>) {
        let (id, peer) = (fetch.observation, fetch.reply_to.peer);
        let request = self.observation(id).and_then(|found| found.request.clone());
        let options = message.options.clone().into_owned();
        let mut fetching = Fetching::new(message.code, options, block.size);
        let body_max = self.config.body_max;
        let held = self.fetched_bytes.saturating_add(self.assemblies.bytes());
        let room = held + message.payload.len() <= self.config.transfers_bytes_max;
        let step = fetching.take(block, &message.options, &message.payload, body_max);
        let (Fetched::Ask(wanted), Some(request), true) = (step, request, room) else {
            return self.refuse_notification(&fetch);
        };
        self.stats.blocks_in += 1;
        self.fetched_bytes += fetching.len();
        let mut ask = Ask::new(Purpose::Fetch(Box::new(fetch)), request, Token::EMPTY);
        ask.fetching = Some(fetching);
        ask.wanted = Some(wanted);
        let options = RequestOptions { urgent: true, ..RequestOptions::default() };
        let exchange = self.begin_ask(peer, ask, &options);
        if self.find_exchange(exchange).is_some()
            && let Some(found) = self.observation_mut(id)
            && found.exchange().is_none()
        {
            found.set_exchange(Some(exchange.index));
        }
    }

    /// The notification is complete.
    pub(super) fn finish_fetch<'d>(
        &mut self,
        fetch: &Fetch,
        ended: &Exchange,
        answer: Incoming<'d>,
    ) -> Option<Event<'d>> {
        if !answer.code.is_success() {
            self.give_up_fetch(ended);
            return None;
        }
        self.observation(fetch.observation)?;
        self.stats.notifications_in += 1;
        let Fetch { observation, reply_to, freshness } = fetch;
        let (token, id, kind) = (reply_to.token, reply_to.id, reply_to.kind);
        Some(Event::Notification {
            observation: *observation,
            peer: reply_to.peer,
            reply_to: reply_to.clone(),
            response: Incoming { token, id, kind, ..answer },
            freshness: *freshness,
        })
    }

    /// The rest of a notification could not be had: it counts as never seen.
    pub(super) fn give_up_fetch(&mut self, ended: &Exchange) {
        if let Role::Ask(ask) = &ended.role
            && let Purpose::Fetch(fetch) = &ask.purpose
        {
            self.refuse_notification(fetch);
        }
    }

    fn refuse_notification(&mut self, fetch: &Fetch) {
        self.stats.transfers_given_up += 1;
        if let Some(found) = self.observation_mut(fetch.observation) {
            found.mark(fetch.reply_to.id, Seen::Refused);
        }
        self.note_later(fetch.reply_to.peer, NoteKind::FetchGivenUp, &[]);
    }

    /// Ends a fetch whose notification is out of date. Its sender is told that it was taken: what
    /// came after it stands for it.
    pub(super) fn end_fetch_of(&mut self, id: ObservationId) {
        let Some(index) = self.observation(id).and_then(Observation::exchange) else {
            return;
        };
        let ask = self.exchanges.get(index).and_then(Exchange::ask);
        if !ask.is_some_and(|ask| matches!(ask.purpose, Purpose::Fetch(_))) {
            return;
        }
        if let Some(Exchange { role: Role::Ask(ask), .. }) = self.end_exchange(index)
            && let Purpose::Fetch(fetch) = ask.purpose
        {
            self.accept_id(id, fetch.reply_to.id);
            if fetch.reply_to.is_confirmable() {
                self.acknowledge(fetch.reply_to.peer, fetch.reply_to.id);
            }
        }
    }
}
