//! What a shard does with its inputs and with claims.

use engine::{
    Claim, ClaimAnswer, CommandError, Datagram, Identity, Instant, PAGE_LEN_MAX, RegistrationId,
};

use super::{INPUTS_MAX, Shard};
use crate::clock;
use crate::directory::Home;
use crate::inbox::{
    CommandInput, Evict, Forwarded, Forwarding, HandedOver, Input, List, Listed, Look, Looked,
};
use crate::listeners::Admission;
use crate::results::Asked;
use crate::telemetry::{Counter, Reasons};

impl Shard {
    pub(super) fn take_inputs(&mut self, now: Instant) {
        for _ in 0..INPUTS_MAX {
            let Some(input) = self.inbox().next() else { break };
            // A page of a listing takes as long as all else that a turn may do.
            let is_last = matches!(input, Input::List(_));
            self.take(now, input);
            if self.stopping || is_last {
                break;
            }
        }
    }

    fn take(&mut self, now: Instant, input: Input) {
        match input {
            Input::Command(input) => self.submit(now, *input),
            Input::Forwarded(forwarded) => self.take_forwarded(now, forwarded),
            Input::Evict(evict) => self.evict(now, evict),
            Input::HandedOver(left) => self.take_over(now, *left),
            Input::Kick(endpoint) => {
                self.server.kick(now, &endpoint);
            }
            Input::List(list) => self.list(now, *list),
            Input::Look(look) => self.look(now, *look),
            Input::Settings(settings, bridge) => {
                self.server.set_settings(settings);
                self.uplink.set_bridge(*bridge);
            }
            Input::Models(models) => {
                self.server.set_models(models.clone());
                self.uplink.set_models(models);
                self.versions.clear();
            }
            Input::Listen(seat) => self.listening.seat(*seat),
            Input::Adjust(number, access, options) => {
                self.listening.adjust(number, access, &options);
            }
            Input::Close(number) => self.listening.close(number),
            Input::EndListener(number, done) => self.listening.end(number, done),
            Input::Barrier(done) => drop(done),
            Input::Stop => {
                self.server.shut_down();
                self.stopping = true;
            }
        }
    }

    pub(super) fn submit(&mut self, now: Instant, input: CommandInput) {
        let CommandInput { command, reservation, waiter, hops } = input;
        let asked = Asked::by(&command);
        match self.server.submit(now, command) {
            Ok(id) => {
                self.shared.results.accepted(id, &asked, waiter);
                self.metrics.add(Counter::CommandsAccepted, 1);
                self.reservations.push(reservation);
            }
            Err(refused) => {
                let command = *refused.command;
                // The device moved while the command was on its way.
                let home = self.shared.directory.find(command.endpoint.as_str());
                if let (CommandError::UnknownDevice, Some(home), Some(hops)) =
                    (&refused.reason, home, hops.checked_sub(1))
                    && home.shard != self.number
                    && let Some(inbox) = self.shared.inboxes.get(usize::from(home.shard))
                {
                    let passed = CommandInput { command, reservation, waiter, hops };
                    inbox.send(Input::Command(Box::new(passed)));
                    return;
                }
                self.metrics.count(Reasons::CommandsRefused, refused.reason.name());
                self.log.command_died(&refused.reason, command.endpoint.as_str());
                self.shared.results.refused(asked, refused.reason.clone(), waiter);
                self.uplink.refuse(command, refused.reason, reservation);
            }
        }
    }

    fn list(&self, now: Instant, list: List) {
        // Nobody waits for what an HTTP client gave up.
        if list.reply.is_closed() {
            return;
        }
        let page = self.server.list(now, list.after, PAGE_LEN_MAX);
        let looked_at = page.rows.len();
        let mut rows = page.rows;
        rows.retain(|row| (list.wanted)(row));
        let _ = list.reply.send(Listed { rows, looked_at, next: page.next });
    }

    fn look(&self, now: Instant, look: Look) {
        let name = look.endpoint.as_str();
        let row = self.server.lookup(now, name);
        let looked =
            row.map(|row| Looked { row, observed: self.server.observed(name).unwrap_or_default() });
        let _ = look.reply.send(looked);
    }

    fn take_forwarded(&mut self, now: Instant, forwarded: Forwarded) {
        let Forwarded { peer, bytes, how } = forwarded;
        self.metrics.add(Counter::ForwardedIn, 1);
        match how {
            Forwarding::Question { from, left } if left > 0 && !self.server.owns_address(&peer) => {
                let left = left - 1;
                let next = if left == 0 { from } else { self.next_shard() };
                self.forward(next, peer, &bytes, Forwarding::Question { from, left });
            }
            Forwarding::ToOwner | Forwarding::Question { .. } => {
                let datagram = Datagram { peer, identity: &Identity::None, bytes: &bytes };
                self.server.handle_forwarded(now, clock::wall_ms(), datagram);
            }
        }
    }

    fn evict(&mut self, now: Instant, evict: Evict) {
        let Evict { endpoint, registration, successor } = evict;
        let handover = self.server.handle_evict(now, &endpoint, registration);
        // The last events of the old registration go up before its successor may say anything.
        self.settle(now);
        self.uplink.note_move();
        let kept = self.reservations.len().saturating_sub(handover.len());
        let reservations = self.reservations.split_off(kept);
        if let Some(inbox) = self.shared.inboxes.get(usize::from(successor)) {
            let left = HandedOver { endpoint, handover, reservations };
            inbox.send(Input::HandedOver(Box::new(left)));
        }
    }

    fn take_over(&mut self, now: Instant, left: HandedOver) {
        let name = left.endpoint.as_str();
        // The name moved on before this came: it goes the same way.
        if self.server.lookup(now, name).is_none()
            && let Some(home) = self.shared.directory.find(name)
            && home.shard != self.number
            && let Some(inbox) = self.shared.inboxes.get(usize::from(home.shard))
        {
            return inbox.send(Input::HandedOver(Box::new(left)));
        }
        self.reservations.extend(left.reservations);
        self.server.handle_handover(now, &left.endpoint, left.handover);
    }

    pub(super) fn answer_claims(&mut self, now: Instant) {
        while let Some(claim) = self.server.poll_claim() {
            let answer = match self.admit(now, &claim) {
                Admission::Granted => self.claim(&claim),
                refused => self.report_refused(&claim, refused),
            };
            self.server.handle_claim(now, claim.id, answer);
        }
    }

    /// Whether the listener of a Register lets it in.
    fn admit(&self, now: Instant, claim: &Claim) -> Admission {
        let is_registered = || self.shared.directory.find(claim.endpoint.as_str()).is_some();
        let gate = self.listening.gate(claim.peer.listener());
        gate.map_or(Admission::Granted, |gate| gate.admit(now, is_registered))
    }

    fn claim(&self, claim: &Claim) -> ClaimAnswer {
        let home = Home { shard: self.number, registration: claim.registration };
        let former = self.shared.directory.claim(&claim.endpoint, home);
        let elsewhere = former.filter(|home| home.shard != self.number);
        if let Some(home) = elsewhere {
            self.ask_to_evict(claim, home.shard, home.registration);
        }
        ClaimAnswer::Granted { evict: elsewhere.is_some() }
    }

    fn ask_to_evict(&self, claim: &Claim, shard: u8, registration: RegistrationId) {
        if let Some(inbox) = self.shared.inboxes.get(usize::from(shard)) {
            let endpoint = claim.endpoint.clone();
            let evict = Evict { endpoint, registration, successor: self.number };
            // Behind the commands that were put there before the name moved.
            inbox.send_in_order(Input::Evict(evict));
        }
    }
}
