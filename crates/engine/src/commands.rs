//! Commands from acceptance to their one end: OMA Core 6.3, 6.4.
//!
//! An accepted command is in the queue of its device until it ends, by an answer or by a
//! [`CommandError`]; each way out goes through [`Server::finish`]. What a request looks like is the
//! business of [`crate::interface::management`], when a device listens that of [`crate::queue`].

use std::collections::VecDeque;
use std::sync::Arc;

use coap::{ExchangeFailure, ExchangeId, Incoming, Instant, Peer, RequestOptions};
use lwm2m::{EndpointName, OperationKind};

use crate::arming::PutOff;
use crate::command::{Answer, Command, CommandError, Origin, Priority, Refused};
use crate::event::{CommandFinished, Event, RegisteredInfo};
use crate::identity::{CommandId, Identity};
use crate::interface::management::{self, Prepared};
use crate::observations::Observation;
use crate::queue::{Accepted, Flight, Observing, Queue, Room};
use crate::registry::{Key, Registration, Route, Stage};
use crate::server::Server;

/// Bits of a command id below the shard number.
const COMMAND_SERIAL_BITS: u32 = 56;

impl Server {
    /// Accepts a command or says why not. One that is accepted ends in exactly one
    /// [`Event::CommandFinished`].
    pub fn submit(&mut self, now: Instant, command: Command) -> Result<CommandId, Refused> {
        let accepted = self.accept(now, &command);
        self.drain_messages(now, &Identity::None);
        match accepted {
            Ok(id) => {
                self.stats.commands_accepted += 1;
                Ok(id)
            }
            Err(reason) => {
                self.stats.commands_refused += 1;
                Err(Refused { command: Box::new(command), reason })
            }
        }
    }

    fn accept(&mut self, now: Instant, command: &Command) -> Result<CommandId, CommandError> {
        let key = self.registry.find(command.endpoint.as_str());
        let registration = key.and_then(|key| Some((key, self.registry.get(key)?)));
        let Some((key, registration)) = registration else {
            return Err(CommandError::UnknownDevice);
        };
        check_origin(command)?;
        let (info, habits) = (Arc::clone(&registration.info), registration.habits);
        habits.check(command.operation.kind())?;
        let context = self.context(now, &info);
        let request = Prepared::new(&command.operation, &command.query, (&info, habits), &context)
            .map_err(CommandError::Unsupported)?;
        let age_out = now + self.settings.queue.age;
        let accepted = Accepted {
            id: self.next_command_id(),
            origin: command.origin.clone(),
            request,
            timeout: command.timeout.unwrap_or(self.settings.command_timeout),
            expires: command.expires.unwrap_or(age_out).min(age_out),
            priority: command.priority,
        };
        let id = accepted.id;
        self.enqueue(key, accepted)?;
        self.record(key);
        self.dispatch(now, key);
        self.schedule(now, key);
        Ok(id)
    }

    fn enqueue(&mut self, key: Key, accepted: Accepted) -> Result<(), CommandError> {
        let limits = self.settings.queue;
        let Some(registration) = self.registry.get_mut(key) else {
            return Err(CommandError::UnknownDevice);
        };
        let queue = registration.queue.get_or_insert_default();
        let dropped = match queue.make_room(accepted.size(), &limits) {
            Room::Enough => Vec::new(),
            Room::After(dropped) => dropped,
            Room::None => return Err(CommandError::QueueFull),
        };
        queue.push(accepted);
        for command in dropped {
            self.finish(key, command, Err(CommandError::QueueFull));
        }
        Ok(())
    }

    /// Sends what may be sent: the device listens, it is announced, and there is room in flight.
    pub(crate) fn dispatch(&mut self, now: Instant, key: Key) {
        let window = self.settings.queue_mode_window;
        while let Some(registration) = self.registry.get(key) {
            let listens = registration.reachability(now, window).listens();
            if registration.stage == Stage::Held || !listens {
                return;
            }
            if registration.route == Route::Unproven && !self.may_send_unproven(now, key) {
                return;
            }
            let in_flight_max = self.settings.max_in_flight.max(1);
            let queue = self.registry.get_mut(key).and_then(|found| found.queue.as_deref_mut());
            let Some(command) = queue.and_then(|queue| queue.pop_ready(in_flight_max)) else {
                match self.arm_next(now, key) {
                    PutOff::No => break,
                    PutOff::Yes => continue,
                }
            };
            if command.expires <= now {
                self.finish(key, command, Err(CommandError::Expired));
            } else {
                self.send(now, key, command);
            }
        }
        self.drop_empty_queue(key);
    }

    pub(crate) fn send(&mut self, now: Instant, key: Key, mut command: Accepted) {
        let Some(registration) = self.registry.get(key) else { return };
        let (info, peer) = (Arc::clone(&registration.info), registration.peer);
        let size = command.size();
        let payload = if self.records.is_on() || command.request.may_be_rewritten() {
            command.request.payload.clone() // A restart, or another format, sends it again.
        } else {
            core::mem::take(&mut command.request.payload)
        };
        let options = RequestOptions {
            deadline_after: Some(command.timeout),
            urgent: command.priority == Priority::Urgent,
            ..RequestOptions::default()
        };
        let outgoing = Outgoing { peer, info: &info, payload, options };
        let (exchange, observing) = match command.request.operation {
            OperationKind::Observe | OperationKind::ObserveComposite => {
                self.send_observe(now, key, &command, outgoing)
            }
            OperationKind::CancelObserve | OperationKind::CancelObserveComposite => {
                (self.send_cancel(now, key, &command, outgoing), None)
            }
            OperationKind::Read
            | OperationKind::Discover
            | OperationKind::Write
            | OperationKind::WriteAttributes
            | OperationKind::Execute
            | OperationKind::Create
            | OperationKind::Delete
            | OperationKind::ReadComposite
            | OperationKind::WriteComposite => {
                let request = command.request.to_request(&info, outgoing.payload);
                (self.coap.request(now, peer, request, outgoing.options), None)
            }
        };
        self.exchanges.insert(exchange, key);
        if let Some(registration) = self.registry.get_mut(key) {
            let queue = registration.queue.get_or_insert_default();
            queue.fly(exchange, command, size, observing);
        }
    }

    fn send_observe(
        &mut self,
        now: Instant,
        key: Key,
        command: &Accepted,
        outgoing: Outgoing<'_>,
    ) -> (ExchangeId, Option<Observing>) {
        let target = command.request.target(&outgoing.payload);
        let request = command.request.to_request(outgoing.info, outgoing.payload);
        let head = self.registry.get(key).map(|found| found.observations).unwrap_or_default();
        if let Some(id) = self.observations.find(head, &target) {
            let exchange = self.coap.reobserve(now, outgoing.peer, id, request, outgoing.options);
            return (exchange, Some(Observing::Again(id)));
        }
        let (exchange, id) = self.coap.observe(now, outgoing.peer, request, outgoing.options);
        let origin = self.share_origin(&command.origin);
        // It is there before the answer is: a notification may come first (fact 85).
        self.add_observation(Observation::new(id, key, target, origin));
        (exchange, Some(Observing::New(id)))
    }

    /// Cancels with the token of the observation if there is one (fact 33), else as EMQX does with
    /// a new one: the device may know an observation that we do not.
    fn send_cancel(
        &mut self,
        now: Instant,
        key: Key,
        command: &Accepted,
        outgoing: Outgoing<'_>,
    ) -> ExchangeId {
        let target = command.request.target(&outgoing.payload);
        self.forget_wanted(key, &target);
        let mut known = self.observations_of(key, &target);
        let mut request = match known.last().and_then(|id| self.paths_of(*id)) {
            Some((format, paths)) => {
                command.request.in_format(format).to_request(outgoing.info, paths)
            }
            None => command.request.to_request(outgoing.info, outgoing.payload),
        };
        let Some(id) = known.pop() else {
            request.options.observe(1);
            return self.coap.request(now, outgoing.peer, request, outgoing.options);
        };
        if let Some(format) = self.observations.get(id).and_then(|found| found.target.accept) {
            request.options.accept(coap::ContentFormat(format.0));
        }
        self.remove_observation(key, id);
        // Of other formats of the path the next notification is rejected.
        for other in known {
            self.forget_observation(key, other);
        }
        self.coap.cancel_observe(now, outgoing.peer, id, request, outgoing.options)
    }

    pub(crate) fn on_acked(&mut self, now: Instant, exchange: ExchangeId) {
        let Some(&key) = self.exchanges.get(&exchange) else { return };
        self.on_sign_of_life(now, key);
        self.on_proof_of_address(key);
        let Some(registration) = self.registry.get(key) else { return };
        let flight = registration.queue.as_ref().and_then(|queue| queue.flight(exchange));
        let Some(flight) = flight else { return };
        let (command, origin) = (flight.command.id, flight.command.origin.clone());
        let device = registration.device();
        self.emit(key, Event::CommandAcked { device, command, origin });
    }

    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        exchange: ExchangeId,
        (peer, identity): (Peer, &Identity),
        response: Incoming<'_>,
    ) {
        let Some(&key) = self.exchanges.get(&exchange) else { return };
        // An answer is proven by its token. From an address that the settings refuse it counts, but
        // the address does not.
        if self.admit(now, key, peer, identity) {
            self.on_sign_of_life(now, key);
            self.on_proof_of_address(key);
        }
        if let Some(asking) = self.land_asking(key, exchange) {
            return self.on_asked(now, key, asking, response);
        }
        let Some((key, flight)) = self.land(now, exchange) else { return };
        let sequence = flight.observation.and_then(|observing| {
            self.on_observe_answer(key, observing, &flight.command.origin, &response)
        });
        let code = response.code;
        let Some(command) = self.send_rewritten(now, key, flight.command, code) else { return };
        let learnt = self.learn(key, &command.request, code);
        self.finish(key, command, learnt.map(|()| management::answer(response, sequence)));
        self.go_on(now, key);
    }

    pub(crate) fn on_reset(&mut self, now: Instant, exchange: ExchangeId) {
        let Some(&key) = self.exchanges.get(&exchange) else { return };
        self.on_sign_of_life(now, key);
        self.on_proof_of_address(key);
        self.end_exchange(now, key, exchange, CommandError::Reset);
    }

    pub(crate) fn on_timed_out(&mut self, now: Instant, exchange: ExchangeId, acked: bool) {
        let Some(&key) = self.exchanges.get(&exchange) else { return };
        let queue = self.registry.get(key).and_then(|found| found.queue.as_deref());
        if !queue.is_some_and(|queue| queue.slept_over(exchange)) {
            self.on_silence(key);
        }
        self.keep_credit(key);
        let error =
            self.learn_from_silence(key, exchange).unwrap_or(CommandError::Timeout { acked });
        self.end_exchange(now, key, exchange, error);
    }

    pub(crate) fn on_failed(
        &mut self,
        now: Instant,
        exchange: ExchangeId,
        reason: ExchangeFailure,
    ) {
        let Some(&key) = self.exchanges.get(&exchange) else { return };
        self.end_exchange(now, key, exchange, CommandError::Transfer(reason));
    }

    fn end_exchange(&mut self, now: Instant, key: Key, exchange: ExchangeId, error: CommandError) {
        if let Some(asking) = self.land_asking(key, exchange) {
            return self.on_asked_in_vain(now, key, asking, error);
        }
        let Some((key, flight)) = self.land(now, exchange) else { return };
        // One that exists goes on: it is the asking again that failed.
        if let Some(Observing::New(id)) = flight.observation {
            self.forget_observation(key, id);
        }
        self.finish(key, flight.command, Err(error));
        self.go_on(now, key);
    }

    pub(crate) fn go_on(&mut self, now: Instant, key: Key) {
        self.record(key);
        self.dispatch(now, key);
        self.schedule(now, key);
    }

    /// Takes the command that an exchange carried; none if the exchange was a probe.
    fn land(&mut self, now: Instant, exchange: ExchangeId) -> Option<(Key, Flight)> {
        let key = self.exchanges.remove(&exchange)?;
        let queue = self.registry.get_mut(key)?.queue.as_deref_mut()?;
        if queue.end_probe(exchange) {
            self.on_probe_end(now, key);
            return None;
        }
        let flight = queue.land(exchange)?;
        self.drop_empty_queue(key);
        Some((key, flight))
    }

    /// Ends the waiting commands whose time has passed.
    pub(crate) fn expire_commands(&mut self, now: Instant, key: Key) {
        let mut expired = Vec::new();
        if let Some(queue) = self.registry.get_mut(key).and_then(|r| r.queue.as_deref_mut()) {
            expired.extend(core::iter::from_fn(|| queue.pop_expired(now)));
        }
        if expired.is_empty() {
            return;
        }
        for command in expired {
            self.finish(key, command, Err(CommandError::Expired));
        }
        self.drop_empty_queue(key);
        self.record(key);
    }

    /// Ends what is in flight, by an event each, and takes what waits. What was to be observed is
    /// dropped.
    pub(crate) fn end_commands(&mut self, key: Key, error: &CommandError) -> VecDeque<Accepted> {
        self.disarm(key);
        let mut queue = self.registry.get_mut(key).and_then(|found| found.queue.take());
        if let Some(probe) = queue.as_deref_mut().and_then(Queue::take_probe) {
            self.coap.cancel(probe);
            self.exchanges.remove(&probe);
        }
        let (in_flight, waiting) = queue.map(|queue| queue.into_parts()).unwrap_or_default();
        for flight in in_flight {
            self.coap.cancel(flight.exchange);
            self.exchanges.remove(&flight.exchange);
            self.finish(key, flight.command, Err(error.clone()));
        }
        waiting
    }

    /// Ends every command, in flight or waiting, by an event each: the process stops.
    pub fn shut_down(&mut self) {
        for index in 0..self.registry.end() {
            let key = Key(index);
            for command in self.end_commands(key, &CommandError::Stopping) {
                self.finish(key, command, Err(CommandError::Stopping));
            }
        }
    }

    /// Puts commands of a former registration before those that the device has already.
    pub(crate) fn inherit(&mut self, key: Key, commands: VecDeque<Accepted>) {
        if commands.is_empty() {
            return;
        }
        if let Some(registration) = self.registry.get_mut(key) {
            let queue: &mut Queue = registration.queue.get_or_insert_default();
            commands.into_iter().rev().for_each(|command| queue.push_front(command));
        }
    }

    /// Ends commands whose device is gone.
    pub(crate) fn disown(&mut self, endpoint: &EndpointName, commands: VecDeque<Accepted>) {
        for command in commands {
            self.stats.commands_failed += 1;
            let result = Err(CommandError::Deregistered);
            let finished = finished(endpoint.clone(), None, command, result);
            self.announce(Event::CommandFinished(Box::new(finished)));
        }
    }

    /// The only way out for a command.
    pub(crate) fn finish(
        &mut self,
        key: Key,
        command: Accepted,
        result: Result<Answer, CommandError>,
    ) {
        match &result {
            Ok(_) => self.stats.commands_answered += 1,
            Err(_) => self.stats.commands_failed += 1,
        }
        let device = self.registry.get(key).map(Registration::device);
        debug_assert!(device.is_some(), "a command outlived its registration");
        let Some(device) = device else { return };
        let finished = finished(device.endpoint.clone(), Some(device), command, result);
        self.emit(key, Event::CommandFinished(Box::new(finished)));
    }

    fn drop_empty_queue(&mut self, key: Key) {
        if let Some(registration) = self.registry.get_mut(key)
            && registration.queue.as_deref().is_some_and(Queue::is_empty)
        {
            registration.queue = None;
        }
    }

    fn next_command_id(&mut self) -> CommandId {
        self.commands_given += 1;
        let serial = self.commands_given & ((1 << COMMAND_SERIAL_BITS) - 1);
        CommandId(u64::from(self.shard) << COMMAND_SERIAL_BITS | serial)
    }

    /// Takes care that a command id which is known is not given out again.
    pub(crate) fn keep_clear_of(&mut self, id: CommandId) {
        if id.0 >> COMMAND_SERIAL_BITS == u64::from(self.shard) {
            let serial = id.0 & ((1 << COMMAND_SERIAL_BITS) - 1);
            self.commands_given = self.commands_given.max(serial);
        }
    }

    pub(crate) fn share_origin(&mut self, origin: &Origin) -> Origin {
        match self.origins.find(origin.as_bytes()) {
            Some(shared) => Origin::shared(shared),
            None => Origin::shared(self.origins.add(origin.as_bytes().into())),
        }
    }

    /// The observation that an observe was about: it goes on with a new origin, or it ends.
    pub(crate) fn on_observe_answer(
        &mut self,
        key: Key,
        observing: Observing,
        origin: &Origin,
        response: &Incoming<'_>,
    ) -> Option<u32> {
        let (Observing::New(id) | Observing::Again(id)) = observing;
        if !response.code.is_success() {
            self.forget_observation(key, id);
            return None;
        }
        let origin = self.share_origin(origin);
        let observation = self.observations.get_mut(id)?;
        observation.origin = origin;
        // Some vendor kits leave the Observe option out and notify all the same, so that its lack
        // does not end the observation.
        Some(observation.advance(response.options.observe()))
    }
}

/// What all ways to send have in common.
struct Outgoing<'a> {
    peer: Peer,
    info: &'a RegisteredInfo,
    payload: Vec<u8>,
    options: RequestOptions,
}

fn finished(
    endpoint: EndpointName,
    device: Option<crate::event::Device>,
    command: Accepted,
    result: Result<Answer, CommandError>,
) -> CommandFinished {
    CommandFinished {
        endpoint,
        device,
        command: command.id,
        origin: command.origin,
        operation: command.request.operation,
        path: command.request.path,
        result,
    }
}

fn check_origin(command: &Command) -> Result<(), CommandError> {
    let len = command.origin.as_bytes().len();
    match command.operation.kind() {
        OperationKind::Observe | OperationKind::ObserveComposite
            if len > Origin::OBSERVE_LEN_MAX =>
        {
            let max = Origin::OBSERVE_LEN_MAX;
            let reason = format!("an observe carries {len} bytes to be echoed, {max} are kept");
            Err(CommandError::Unsupported(reason))
        }
        _ => Ok(()), // Others are kept for as long as their command only.
    }
}
