//! Addresses that have not shown that they hear us: design section 6, RFC 9175 2.4 in spirit.
//!
//! Whoever registers over plain UDP may have made up its address. Until something sent there was
//! answered, one request of ours is on its way at a time, and [`coap`] sends at most three times
//! what came from there. A write that does not fit into that would never leave, so a small read
//! goes before it: its answer, whatever it says, proves the address.

use coap::{Code, Instant, OptionList, Request, RequestOptions};

use crate::command::CommandError;
use crate::registry::{Key, Route};
use crate::server::Server;

/// What a request takes beside its payload: header, token, a path and a few queries.
const REQUEST_OVERHEAD: usize = 64;

/// The resource that is read as a probe: the lifetime of the server account, which every device has
/// and answers in a few bytes (OMA Core, object 1).
const PROBE_PATH: [&str; 3] = ["1", "0", "1"];

impl Server {
    /// Whether the next command may leave for an address that is not proven. Sends a probe if that
    /// is what is missing.
    pub(crate) fn may_send_unproven(&mut self, now: Instant, key: Key) -> bool {
        let Some(registration) = self.registry.get(key) else { return false };
        let Some(queue) = registration.queue.as_deref() else { return false };
        if queue.outstanding() > 0 || queue.is_probing() {
            return false;
        }
        let Some(len) = queue.next_payload_len() else { return false };
        let (peer, credit) = (registration.peer, registration.credit);
        let credit = match self.coap.peer_credit(peer) {
            Some(credit) => credit,
            None => {
                // It was quiet for so long that the message layer has forgotten about it.
                self.coap.peer_unproven_with(peer, credit);
                credit
            }
        };
        let fits = len.min(self.block_len_max) + REQUEST_OVERHEAD <= credit as usize;
        // A request without payload is as small as the probe would be.
        if fits || len == 0 {
            return true;
        }
        self.probe(now, key);
        false
    }

    /// A probe was answered, or nobody is there: then the command that waited for it ends.
    pub(crate) fn on_probe_end(&mut self, now: Instant, key: Key) {
        let route = self.registry.get(key).map(|registration| registration.route);
        if route == Some(Route::Unproven) {
            let queue = self.registry.get_mut(key).and_then(|found| found.queue.as_deref_mut());
            let Some(queue) = queue else { return };
            match (queue.give_up_next(), &mut queue.plan) {
                (Some(command), _) => {
                    self.finish(key, command, Err(CommandError::Timeout { acked: false }));
                }
                // The probe was for an observe.
                (None, Some(plan)) => plan.hold_until_heard(),
                (None, None) => {}
            }
        }
        self.go_on(now, key);
    }

    /// Remembers what may still be sent to an address that is not proven.
    pub(crate) fn keep_credit(&mut self, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        if registration.route == Route::Unproven
            && let Some(credit) = self.coap.peer_credit(registration.peer)
        {
            registration.credit = credit;
        }
    }

    fn probe(&mut self, now: Instant, key: Key) {
        let Some(registration) = self.registry.get_mut(key) else { return };
        let Some(queue) = registration.queue.as_deref_mut() else { return };
        let mut options = OptionList::new();
        let links = registration.info.links.iter();
        links.flat_map(|links| links.alternate_segments()).for_each(|part| options.uri_path(part));
        PROBE_PATH.iter().for_each(|part| options.uri_path(part));
        let request = Request { code: Code::GET, options, payload: Vec::new() };
        let exchange =
            self.coap.request(now, registration.peer, request, RequestOptions::default());
        queue.begin_probe(exchange);
        self.exchanges.insert(exchange, key);
    }
}
